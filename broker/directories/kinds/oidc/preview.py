"""What a configuration yields, before it is saved: the provider is asked who it is, and writes nothing."""

from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import Preview
from broker.directories.https import Silent
from broker.directories.models import Directory

from .config import of_row
from .line import Line
from .provider import keys_of, provider_of

SECONDS = 8.0


def preview_of(directory: Directory) -> Preview:
    """Ask the provider as the row says, which need not be saved. Never raises for one that is down or wrong."""
    config = of_row(directory)
    warnings = () if directory.secret else ("public",)
    line = Line(config, SECONDS)
    facts: list[tuple[str, str]] = []
    try:
        provider = provider_of(line, anew=True)
        facts += [
            (N_("Names itself"), config.issuer),
            (N_("People sign in at"), provider.authorization),
            (N_("Claims it speaks of"), ", ".join(provider.claims)[:1000] or "–"),
        ]
        keys = keys_of(line, provider, anew=True).all
        if not keys:
            raise Silent("it has no key that can be used")
        kinds = sorted({str(key.get("kty")) for key in keys})
        facts.append((N_("Keys"), f"{len(keys)} ({', '.join(kinds)})"))
    except Silent as error:
        told = Unavailable(
            N_("%(issuer)s cannot be used: %(cause)s."),
            fix=N_("Look at the address; it has to be exactly what the provider calls itself."),
            rule="directory.provider",
            issuer=config.issuer,
            cause=str(error),
        )
        return Preview(error=told, facts=tuple(facts), warnings=warnings)
    return Preview(bound=True, server=config.issuer, facts=tuple(facts), warnings=warnings)
