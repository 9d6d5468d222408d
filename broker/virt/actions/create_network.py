"""Make a network that machines plug into. Hosts get it when the first machine on them needs it."""

import ipaddress

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster, Guard, Network

BRIDGED = (Network.Kind.BRIDGE, Network.Kind.OVS)
USUAL: dict[str, Guard] = {
    Network.Kind.NAT: Guard.ADDRESSES, Network.Kind.ISOLATED: Guard.ADDRESSES, Network.Kind.BRIDGE: Guard.MAC,
    Network.Kind.OVS: Guard.MAC,
}  # fmt: skip


@transaction.atomic
def create_network(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    kind: str = "nat",
    subnet: str = "",
    bridge: str = "",
    vlan: int = 0,
    guard: str = "",
) -> Network:
    """`subnet` (CIDR) for "nat" and "isolated"; `bridge`, an interface that the hosts have, for "bridge" and "ovs";
    `vlan`: the tag, for "ovs". `guard`: what its cards may send as; by default their own addresses only, and on
    bridges, where there may be more than IPv4, their own MAC only.

    Raises Missing, Denied, Invalid, or Conflict (name taken, or a subnet that overlaps another of the cluster).
    """
    require(actor, "network.manage", cluster)
    network = Network(cluster=cluster, name=names.name(name), kind=kind)
    if kind not in Network.Kind.values:
        raise Invalid(
            N_("There is no such kind of network."), field="kind", fix=N_("Use one of: %(known)s."),
            known=", ".join(Network.Kind.values),
        )  # fmt: skip
    network.vlan, network.guard = checked_vlan(kind, vlan), checked_guard(guard) or USUAL[kind]
    if kind in BRIDGED:
        network.bridge = names.bridge(bridge)
    else:
        network.subnet = free_subnet(cluster, subnet)
    rows.insert(network)
    record("network.created", actor=actor, subject=network, message=N_("Network %(name)s was made"), name=network.name)
    publish("network", network.pk, "created")
    return network


def checked_vlan(kind: str, vlan: int) -> int:
    """Raise Invalid for a tag on a network that cannot carry one."""
    names.number(vlan, field="vlan", least=0, most=4094)
    if vlan and kind != Network.Kind.OVS:
        raise Invalid(
            N_("Only a network of Open vSwitch can carry a VLAN tag."), field="vlan", rule="network.vlan",
            fix=N_("On a bridge of Linux, have the hosts bridge the VLAN's interface (br0.42), and name that bridge."),
        )  # fmt: skip
    return vlan


def checked_guard(guard: str) -> str:
    if guard and guard not in Guard.values:
        raise Invalid(
            N_("There is no such choice."), field="guard", fix=N_("Use one of: %(known)s."),
            known=", ".join(Guard.values),
        )  # fmt: skip
    return guard


def free_subnet(cluster: Cluster, subnet: str, *, besides: Network | None = None) -> str:
    wanted = names.subnet(subnet)
    others = Network.objects.filter(cluster=cluster).exclude(subnet="")
    for other in others.exclude(pk=besides.pk) if besides else others:
        if wanted.overlaps(ipaddress.IPv4Network(other.subnet)):
            raise Conflict(
                N_("The subnet overlaps that of the network %(name)s (%(subnet)s)."), rule="network.subnet",
                fix=N_("Choose another subnet."),
                name=other.name, subnet=other.subnet,
            )  # fmt: skip
    return str(wanted)
