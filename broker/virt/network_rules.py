"""What a network may be: one check for making and for changing it."""

import ipaddress

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import Cluster, Guard, Network

BRIDGED = (Network.Kind.BRIDGE, Network.Kind.OVS)
LEAST_MTU, MOST_MTU = 68, 65520
USUAL: dict[str, Guard] = {
    Network.Kind.NAT: Guard.ADDRESSES, Network.Kind.ISOLATED: Guard.ADDRESSES, Network.Kind.BRIDGE: Guard.MAC,
    Network.Kind.OVS: Guard.MAC,
}  # fmt: skip


def checked_vlan(kind: str, vlan: int) -> int:
    """Raise Invalid for a tag on a network that cannot carry one."""
    names.number(vlan, field="vlan", least=0, most=4094)
    if vlan and kind != Network.Kind.OVS:
        raise Invalid(
            N_("Only a network of Open vSwitch can carry a VLAN tag."), field="vlan", rule="network.vlan",
            fix=N_("On a bridge of Linux, have the hosts bridge the VLAN's interface (br0.42), and name that bridge."),
        )  # fmt: skip
    return vlan


def checked_mtu(kind: str, mtu: int) -> int:
    """Raise Invalid for what no packet of IPv4 or no card can be, and on a bridge, which has its own."""
    if mtu:
        names.number(mtu, field="mtu", least=LEAST_MTU, most=MOST_MTU)
    if mtu and kind in BRIDGED:
        raise Invalid(
            N_("The MTU of a bridge that the hosts have is not set here."), field="mtu", rule="network.mtu",
            fix=N_("Leave it out, and set it on the hosts' bridge: each card takes it from there when plugged in."),
        )  # fmt: skip
    return mtu


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
