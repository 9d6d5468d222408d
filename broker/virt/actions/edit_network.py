"""Change a network: its name, what its cards may send as, where it leads, and its MTU."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid, Reason
from broker.core.reasons import MOST_NAMED
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, pending, rows
from broker.virt.models import Network, VirtualMachine
from broker.virt.network_rules import BRIDGED, checked_guard, checked_mtu, checked_vlan, free_subnet

PLACE = ("subnet", "bridge", "vlan", "mtu")


@transaction.atomic
def edit_network(
    *,
    actor: Actor,
    network: Network,
    name: str | None = None,
    subnet: str | None = None,
    bridge: str | None = None,
    vlan: int | None = None,
    mtu: int | None = None,
    guard: str | None = None,
) -> Network:
    """Write what is given (None: leave). Where it leads and its MTU change only while no machine runs on it:
    hosts are told when the next one starts. `guard` counts for each card from its machine's next start on.

    Raises Missing, Denied, Invalid, or Conflict (name taken, a subnet in use, machines that run on it).
    """
    require(actor, "network.manage", network)
    network = Network.objects.select_for_update().get(pk=network.pk)
    bridged = network.kind in BRIDGED
    for field, value in (("subnet", subnet), ("bridge", bridge)):
        if value and bridged == (field == "subnet"):
            raise Invalid(
                N_("A network of this kind has no such thing."),
                field=field,
                fix=N_("Leave it out, or make another network."),
            )
    wanted: dict[str, Any] = {
        "name": None if name is None else names.name(name),
        "subnet": free_subnet(network.cluster, subnet, besides=network) if subnet else None,
        "bridge": names.bridge(bridge) if bridge else None,
        "vlan": None if vlan is None else checked_vlan(network.kind, vlan),
        "mtu": None if mtu is None else checked_mtu(network.kind, mtu),
        "guard": checked_guard(guard) if guard else None,
    }
    changed = {field for field, value in wanted.items() if value is not None and getattr(network, field) != value}
    if changed & set(PLACE):
        _require_quiet(network)
    if not rows.change(network, wanted):
        return network
    record(
        "network.edited", actor=actor, subject=network, message=N_("Network %(name)s was changed: %(fields)s"),
        name=network.name, fields=", ".join(sorted(changed)),
    )  # fmt: skip
    publish("network", network.pk, "changed")
    return network


def _require_quiet(network: Network) -> None:
    running = VirtualMachine.objects.filter(nics__network=network, power_state__in=(*pending.UP, "suspended"))
    if found := list(running.distinct()[:MOST_NAMED]):
        raise Conflict(
            N_("%(machine)s runs on the network %(name)s."), rule="network.quiet",
            reasons=[Reason.of_row(vm, "network.quiet", N_("it runs on it"), words=N_("run on it")) for vm in found],
            fix=N_("Shut down the machines on it, or move their cards to another network first."),
            machine=found[0].name, name=network.name,
        )  # fmt: skip
