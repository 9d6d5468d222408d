"""Duty: look for physical PCs whose turn it is, so that people see which are on. Bounded; in no web request."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q

from broker.core import clock
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.models import PhysicalMachine

from . import addresses, probing
from .observe import Seen, write

EVERY = timedelta(seconds=20)
MOST = 500  # of one run: where none of them answers, a quarter of a minute


def run() -> int:
    """Look for those that were not for EVERY, the longest forgotten first; returns how many."""
    due = Q(probed_at__isnull=True) | Q(probed_at__lt=clock.now() - EVERY)
    rows = PhysicalMachine.objects.filter(due, maintenance=False).select_related("vm")
    pcs = list(rows.order_by("probed_at")[:MOST])
    look_at(pcs)
    return len(pcs)


def look_at(pcs: Sequence[PhysicalMachine]) -> None:
    """Look for these now, and write down what was seen. Not within a transaction."""
    if not pcs:
        return
    hosts = addresses.places_of_hosts()
    found = probing.look_up({pc.address for pc in pcs} | hosts)
    theirs = addresses.parsed(one for name in hosts for one in found[name])
    places: dict[object, str] = {}
    for pc in pcs:
        try:
            if told := found[pc.address]:
                places[pc.pk] = addresses.allowed(told, hosts=theirs)
            else:
                write(pc, Seen(error=N_("Its name leads to no address.")))
        except Invalid as error:
            write(pc, Seen(error=str(error), refused=True))
    ends: dict[str, set[int]] = {}
    for pc in pcs:
        if pc.pk in places:
            ends.setdefault(places[pc.pk], set()).update(ports(pc))
    heard = probing.knock(ends)
    for pc in pcs:
        if pc.pk in places:
            said = heard[places[pc.pk]]
            mine = tuple(port for port in ports(pc) if port in said.open_ports)
            write(pc, Seen(places[pc.pk], mine, said.there))


def ports(pc: PhysicalMachine) -> tuple[int, ...]:
    """The ports that are knocked at: where one is named for that, no other."""
    offered = tuple(port for port in (pc.rdp_port, pc.vnc_port) if port)
    return (pc.probe_port,) if pc.probe_port else offered
