"""How hosts mount an NFS share, beyond its version: one table for the form, the API, the checks and the hosts."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.tables import Setting, checked, complete
from broker.core.text import gettext_noop as N_

OPTIONS = (
    Setting(
        "hard", False, N_("Wait for the server for ever"),
        N_("Else its machines are paused when it is away. Waiting, nothing can end them or leave the share."),
    ),
    Setting("timeo", 100, N_("Tenths of a second until it is asked again"), least=10, most=6000),
    Setting("retrans", 3, N_("How often it is asked again"), N_("Before its machines are paused."), least=1, most=30),
    Setting("port", 0, N_("NFS port"), N_("0: the usual one."), least=0, most=65535),
)  # fmt: skip


def chosen(given: Any) -> dict[str, Any]:
    """What somebody chose, checked. Raises Invalid naming the option."""
    if not isinstance(given, Mapping):
        raise Invalid(N_("This is no table of options."), field="mount", fix=N_("Give names and values."))
    return checked(OPTIONS, given)


def words(stored: Mapping[str, Any]) -> tuple[str, ...]:
    """As the host's mount is told."""
    values = complete(OPTIONS, stored)
    port = (f"port={values['port']}",) if values["port"] else ()
    return ("hard" if values["hard"] else "soft", f"timeo={values['timeo']}", f"retrans={values['retrans']}", *port)
