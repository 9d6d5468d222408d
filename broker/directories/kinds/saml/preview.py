"""What a configuration yields, before it is saved: the metadata is read, and nothing is written."""

from broker.core import clock
from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import Preview
from broker.directories.https import Silent
from broker.directories.models import Directory

from .config import of_row
from .metadata import Provider, provider_of

SECONDS = 8.0


def preview_of(directory: Directory) -> Preview:
    """Read the metadata as the row says, which need not be saved. Never raises for one that is down or wrong."""
    config = of_row(directory)
    try:
        provider = provider_of(config, anew=True, seconds=SECONDS)
    except Silent as error:
        told = Unavailable(
            N_("%(issuer)s cannot be used: %(cause)s."),
            fix=N_("Look at the address, or at the text of the metadata."),
            rule="directory.provider",
            issuer=config.metadata_url or config.issuer or directory.name,
            cause=str(error),
        )
        return Preview(error=told)
    facts = (
        (N_("Names itself"), provider.entity_id),
        (N_("People sign in at"), provider.sign_in),
        (N_("Keys"), ", ".join(_keys(provider))),
    )
    over = all(one.not_valid_after_utc <= clock.now() for one in provider.certificates)
    return Preview(bound=True, server=provider.entity_id, facts=facts, warnings=("over",) if over else ())


def _keys(provider: Provider) -> list[str]:
    """Each certificate's fingerprint, as providers show it, and its last day."""
    from cryptography.hazmat.primitives import hashes

    return [
        f"SHA-256 {one.fingerprint(hashes.SHA256()).hex(':').upper()} (– {one.not_valid_after_utc:%Y-%m-%d})"
        for one in provider.certificates
    ]
