"""Ask a directory with settings that are not saved, and tell what they yield."""

from collections.abc import Mapping
from typing import Any

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory
from broker.directories.settings_of import checked_kind, kept_keytab, kept_secret
from broker.events.record import record

LONGEST_NAME = 150


def preview_directory(
    *,
    actor: Actor,
    kind: str,
    config: Mapping[str, Any],
    password: str | None = None,
    directory: Directory | None = None,
    username: str = "",
    keytab: bytes | None = None,
) -> Any:
    """Returns the kind's own answer (for LDAP: kinds/ldap/preview.py); a directory that is down is told in it.

    Asks the directory within the call, for a few seconds at most. Without `password` the one that is kept for
    `directory` is used, unless the servers changed: nobody gets it sent to a server of theirs. `username`: somebody as
    they would type it, or the principal of a ticket. `keytab`: as for editing. Raises Denied, Invalid with the field,
    or Conflict for a kind that has nothing to ask.
    """
    require(actor, "system.manage")
    offered = checked_kind(kind)
    if directory is not None and directory.kind != kind:
        raise Invalid(N_("A directory keeps its kind."), field="kind", fix=N_("Add another directory."))
    wanted = offered.cleaned(config)
    if len(username) > LONGEST_NAME or "\0" in username:
        raise Invalid(N_("This user name cannot be used."), field="username", fix=N_("Type it again."))
    if not hasattr(offered, "preview"):
        raise Conflict(
            N_("A directory of the kind %(kind)s has nothing to ask."),
            rule="directory.preview",
            fix=N_("Save it."),
            kind=kind,
        )
    secret = offered.sealed(password or "") if directory is None else kept_secret(directory, wanted, password)
    row = Directory(
        name=directory.name if directory else kind, kind=kind, config=wanted, secret=secret,
        keytab=directory.keytab if directory else "",
    )  # fmt: skip
    row.keytab = kept_keytab(row, wanted, keytab)
    record(
        "directory.previewed",
        actor=actor,
        subject=directory,
        message=N_("Settings of a directory (%(sort)s) were tried out: %(where)s"),
        sort=kind,
        where=_place(wanted) or kind,
    )
    return offered.preview(row, username=username.strip() or None)


def _place(config: Mapping[str, Any]) -> str:
    """Where that directory is, as far as its settings say."""
    places = [*config.get("servers", ()), config.get("issuer"), config.get("metadata_url")]
    return ", ".join(str(place) for place in places if place)[:300]
