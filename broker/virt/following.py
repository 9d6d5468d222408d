"""The duty that follows machines which somebody moved without Berth, and leaves one definition of each machine.

A machine of ours that runs on another host of its cluster was moved there (`virsh migrate`, say) when the host that it
should be on says that it left: both hosts are asked before anything is believed. What it left behind is removed where
the machine runs elsewhere; two copies that run are told of and never touched, for either may hold what the other lacks.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.models import Event
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import hosts
from .driver import MIGRATED, PowerState
from .models import ForeignMachine, Host, VirtualMachine
from .states import VM, VmState

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.following")
UP = (PowerState.RUNNING, PowerState.PAUSED)
GONE = (PowerState.OFF, PowerState.CRASHED)
ARRIVING = "migration"  # why a machine is paused that is still on its way
GRACE = timedelta(seconds=10)  # after a job on the machine: what it did may still be being observed
TOLD_FOR = timedelta(hours=1)
BATCH = 50


def follow() -> int:
    """Look at every copy of a machine of ours on a host not its own. Returns for how many something was done."""
    return sum(_look(vm, copy) for vm, copy in _copies())


def _copies() -> Iterable[tuple[VirtualMachine, ForeignMachine]]:
    """Machines with a copy on another host of their cluster that answers, and on which nobody of ours is at work."""
    listed = ForeignMachine.objects.filter(host__error="", uuid__in=VirtualMachine.objects.values("pk"))
    # What a lost host still has when it is back is for host.clean to judge.
    listed = listed.exclude(host__health__lost_at__isnull=False)
    copies = {copy.uuid: copy for copy in listed.select_related("host").order_by("-observed_at")[:BATCH]}
    recent = Q(state__in=ACTIVE) | Q(finished_at__gt=clock.now() - GRACE)
    rows = (
        VirtualMachine.objects.filter(
            pk__in=copies, state__in=(VmState.READY, VmState.BROKEN), host__isnull=False, host__error="",
            moving_to__isnull=True,
        )
        .exclude(pk__in=Job.objects.filter(recent, subject_kind="vm").values("subject_id"))
        .exclude(host__health__lost_at__isnull=False)
        .select_related("host")
    )  # fmt: skip
    for vm in rows:
        copy = copies[vm.pk]
        if copy.host_id != vm.host_id and copy.host.cluster_id == vm.cluster_id:
            yield vm, copy


def _look(vm: VirtualMachine, copy: ForeignMachine) -> int:
    """Ask both hosts, and do what their answers allow."""
    assert vm.host is not None
    try:
        own, other = (hosts.connection(host).observe_one(str(vm.pk)) for host in (vm.host, copy.host))
        if other.power in UP and other.reason != ARRIVING:
            if own.power is PowerState.MISSING or (own.power is PowerState.OFF and own.reason == MIGRATED):
                return _move(vm, copy.host)
            return _tell_twice(vm, copy.host) if own.power in UP and own.reason != ARRIVING else 0
        if own.power in UP and other.power in GONE:
            return _tidy(vm, copy.host)
    except BerthError as error:
        log.info("%s on %s: %s", vm, copy.host, error)
    return 0


def _move(vm: VirtualMachine, host: Host) -> int:
    """The machine is on `host` from now on; the next look of the monitor says what it is like there."""
    if vm.disks.filter(storage__host__isnull=False).exists():
        return 0  # its disks were copied to a place we do not know: for a human to see to
    before = vm.host
    with transaction.atomic():
        # As nobody has seen it there: all that was known of it was said by another host.
        moved = VirtualMachine.objects.filter(pk=vm.pk, host=before, moving_to__isnull=True, state=vm.state).update(
            host=host, power_state=PowerState.UNKNOWN, power_reason="", boot_id="", definition="", observed_at=None
        )
        if not moved:
            return 0
        if vm.state == VmState.BROKEN:
            VM.attempt(VirtualMachine.objects.filter(pk=vm.pk), "mend")
        ForeignMachine.objects.filter(host=host, uuid=vm.pk).delete()
        record(
            "vm.changed-outside.moved", actor=DUTY, subject=vm, severity="warning", name=vm.name, host=host.name,
            message=N_("%(name)s was moved from %(source)s to %(host)s, not by Berth"), source=str(before),
        )  # fmt: skip
        publish("vm", vm.pk, "moved")
        for one in (before, host):
            publish("host", one.pk, "changed")  # type: ignore[union-attr]
    return 1


def _tell_twice(vm: VirtualMachine, host: Host) -> int:
    """Say, once in a while, that two copies of it run."""
    since = clock.now() - TOLD_FOR
    if Event.objects.filter(kind="vm.twice", subject_id=vm.pk, at__gt=since).exists():
        return 0
    record("vm.twice", actor=DUTY, subject=vm, severity="error", name=vm.name, host=host.name, own=str(vm.host),
           message=N_("%(name)s runs twice, on %(own)s and on %(host)s: power one of the two off at once"))  # fmt: skip
    return 1


def _tidy(vm: VirtualMachine, host: Host) -> int:
    """Forget the definition on `host`; libvirt refuses it for a copy that was started meanwhile."""
    if vm.disks.filter(storage__host__isnull=False).exists():
        return 0  # the definition is all that tells where images were left
    hosts.connection(host).undefine(str(vm.pk))
    with transaction.atomic():
        ForeignMachine.objects.filter(host=host, uuid=vm.pk).delete()
        record("vm.stale-copy", actor=DUTY, subject=vm, severity="warning", name=vm.name, host=host.name,
               message=N_("A stale copy of %(name)s was removed from %(host)s"))  # fmt: skip
        publish("host", host.pk, "changed")
    return 1
