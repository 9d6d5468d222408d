"""Make a network that machines plug into. Hosts get it when the first machine on them needs it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster, Network
from broker.virt.network_rules import BRIDGED, USUAL, checked_guard, checked_mtu, checked_vlan, free_subnet


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
    mtu: int = 0,
    guard: str = "",
) -> Network:
    """`subnet` (CIDR) for "nat" and "isolated"; `bridge`, an interface that the hosts have, for "bridge" and "ovs";
    `vlan`: the tag, for "ovs"; `mtu`, for "nat" and "isolated", 0 for the usual. `guard`: what its cards may send as;
    by default their own addresses only, and on bridges, where there may be more than IPv4, their own MAC only.

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
    network.mtu = checked_mtu(kind, mtu)
    if kind in BRIDGED:
        network.bridge = names.bridge(bridge)
    else:
        network.subnet = free_subnet(cluster, subnet)
    rows.insert(network)
    record("network.created", actor=actor, subject=network, message=N_("Network %(name)s was made"), name=network.name)
    publish("network", network.pk, "created")
    return network
