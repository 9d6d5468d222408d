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
from broker.virt.models import Cluster, Network


@transaction.atomic
def create_network(
    *, actor: Actor, cluster: Cluster, name: str, kind: str = "nat", subnet: str = "", bridge: str = ""
) -> Network:
    """`subnet` (CIDR) for "nat" and "isolated"; `bridge`, an interface that the hosts have, for "bridge".

    Raises Missing, Denied, Invalid, or Conflict (name taken, or a subnet that overlaps another of the cluster).
    """
    require(actor, "network.manage", cluster)
    network = Network(cluster=cluster, name=names.name(name), kind=kind)
    if kind not in Network.Kind.values:
        raise Invalid(
            N_("There is no such kind of network."), field="kind", fix=N_("Use one of: %(known)s."),
            known=", ".join(Network.Kind.values),
        )  # fmt: skip
    if kind == Network.Kind.BRIDGE:
        network.bridge = names.bridge(bridge)
    else:
        network.subnet = _free_subnet(cluster, subnet)
    rows.insert(network)
    record("network.created", actor=actor, subject=network, message=N_("Network %(name)s was made"), name=network.name)
    publish("network", network.pk, "created")
    return network


def _free_subnet(cluster: Cluster, subnet: str) -> str:
    wanted = names.subnet(subnet)
    for other in Network.objects.filter(cluster=cluster).exclude(subnet=""):
        if wanted.overlaps(ipaddress.IPv4Network(other.subnet)):
            raise Conflict(
                N_("The subnet overlaps that of the network %(name)s (%(subnet)s)."), rule="network.subnet",
                fix=N_("Choose another subnet."),
                name=other.name, subnet=other.subnet,
            )  # fmt: skip
    return str(wanted)
