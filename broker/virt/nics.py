"""What a network card may be: one check for making and for changing it."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import Guard, Network, Nic, VirtualMachine

MOST = 16  # on a machine
FASTEST = 100 * 1024 * 1024  # KiB a second


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given (None: not), checked one by one. Raises Invalid naming the field."""
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, choices in (("model", Nic.Model.values), ("guard", ["", *Guard.values])):
        if name in values and values[name] not in choices:
            raise Invalid(
                N_("There is no such choice."), field=name, fix=N_("Use one of: %(known)s."),
                known=", ".join(filter(None, choices)),
            )  # fmt: skip
    for name in ("in_kib", "out_kib"):
        if name in values:
            names.number(values[name], field=name, least=0, most=FASTEST)
    if "connected" in values:
        values["connected"] = bool(values["connected"])
    return values


def ensure_in_cluster(vm: VirtualMachine, network: Network) -> None:
    if network.cluster_id != vm.cluster_id:
        raise Invalid(
            N_("%(name)s belongs to another cluster."), field="network",
            fix=N_("Choose one of the machine's cluster."), name=network.name,
        )  # fmt: skip


def ensure_free(mac: str) -> None:
    """Raise Conflict when another card has the address. Call before it is written; the row has the last word."""
    if Nic.objects.filter(mac=mac).exists():
        raise Conflict(
            N_("Another card has the address %(mac)s already."), rule="mac.unique",
            fix=N_("Leave it out, and one is made; or give another."), mac=mac,
        )  # fmt: skip
