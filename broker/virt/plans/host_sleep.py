"""host.sleep: a host on which nothing runs is switched off to save power.

Out of service first, in the transaction that sees under the cluster's lock that nothing is or comes on it: placement
takes the same lock. Machines that are off are then said to be on other hosts, where they can be worked on while this
one sleeps; one that was started meanwhile ends the job. Only power management's word that it is off counts.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

from broker.core import clock
from broker.core.errors import BerthError, Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import CancelRequested, Context
from broker.jobs.models import Job
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.jobs.states import ACTIVE
from broker.virt import hosts, queries, work
from broker.virt.driver import PowerState
from broker.virt.ha import fencing
from broker.virt.models import Cluster, FenceDevice, Host, VirtualMachine
from broker.virt.placement.choose import choose
from broker.virt.placement.gather import hosts_of, wanted_by
from broker.virt.placement.rules import all_filters
from broker.virt.power_facts import SLEEP_PLAN, holding
from broker.virt.states import HOST, HostState

if TYPE_CHECKING:
    from django.db.models import QuerySet

UP = (PowerState.RUNNING, PowerState.PAUSED)
VERIFY_SECONDS = 60.0


def leave(ctx: Context) -> None:
    """Out of service, if nothing needs it at this moment."""
    with ctx.write():
        host = _host(ctx)
        Cluster.objects.select_for_update().get(pk=host.cluster_id)
        why = holding(host.cluster_id, besides=ctx.job.pk).get(host.pk, "")
        if not host.may_sleep:
            why = N_("it may not be switched off")
        elif host.error:
            why = N_("it does not answer")
        if not why and HOST.attempt(Host.objects.filter(pk=host.pk), "sleep", asleep_at=None):
            ctx.save(left=True)
            publish("host", host.pk, "changed")
            return
    _stay(ctx, host, why or N_("somebody wants it otherwise"))


def has_left(ctx: Context) -> bool:
    return bool(ctx.args.get("left"))


def serve_again(ctx: Context) -> None:
    """In service again. One whose power may have been cut first has to answer: the duty sees that."""
    if not ctx.args.get("left"):
        return
    with ctx.write():
        host, now = Host.objects.filter(pk=ctx.job.subject_id), clock.now()
        if ctx.args.get("cut"):
            host.filter(state=HostState.ASLEEP, asleep_at__isnull=True).update(asleep_at=now)
        else:
            HOST.attempt(host, "wake", asleep_at=None, empty_since=now)
        publish("host", ctx.job.subject_id, "changed")


def hand_over(ctx: Context) -> None:
    """Say of every machine that is off that it is on another host, and forget it on this one."""
    host = _host(ctx)
    _require_asleep(ctx, host)
    here = VirtualMachine.objects.filter(host=host).order_by("name", "pk")
    busy = set(_work().filter(subject_id__in=here.order_by().values("pk")).values_list("subject_id", flat=True))
    for vm in here:
        if vm.pk not in busy:
            _hand_over(ctx, host, vm.pk)
    if busy:
        raise NotYet(1.0, N_("Waiting for jobs on machines that are off there"))
    line = hosts.guarded(ctx, host)
    for uuid in ctx.args.get("handed", {}):
        if line.observe_one(uuid).power is not PowerState.MISSING:
            line.undefine(uuid)  # refused for one that runs


def _hand_over(ctx: Context, host: Host, pk: UUID) -> None:
    """First defined there, then written down: a machine of which the row tells is always on the host that it names."""
    vm = queries.whole_machine(pk)
    if vm.host_id != host.pk:
        return
    if vm.power_state != PowerState.OFF:
        _stay(ctx, host, N_("machines run on it, or have their memory saved there"))
    target = _other(vm)
    ctx.save(handed={**ctx.args.get("handed", {}), str(pk): str(target.pk)})
    vm.host = target
    for storage in {disk.storage for disk in vm.disks.all()}:
        work.ensure_storage(ctx, target, storage)
    seen = work.define(ctx, vm).definition
    with ctx.write():
        rows = VirtualMachine.objects.select_for_update().filter(pk=pk, host=host, power_state=PowerState.OFF)
        free = rows.exists() and not _work().filter(subject_id=pk).exists()
        if free:
            rows.update(host=target, definition=seen, observed_definition=seen)
            publish("vm", pk, "changed")
    if not free:
        hosts.guarded(ctx, target).undefine(str(pk))  # somebody works on it: the next look sees what became of it
        raise NotYet(1.0, N_("Waiting for jobs on machines that are off there"))


def _other(vm: VirtualMachine) -> Host:
    """A host that sees what the machine has; whether it has room is asked when it is started."""
    rules = [one for one in all_filters() if one.name in ("cluster", "state", "reachable", "storage")]
    return Host.objects.get(pk=choose(wanted_by(vm), hosts_of(vm.cluster_id), filters=rules).host.id)


def _work() -> "QuerySet[Job]":
    return Job.objects.filter(subject_kind="vm", state__in=ACTIVE)


def cut(ctx: Context) -> None:
    """Its power, by the first device that obeys; never that of a host on which a machine is, by its own word too."""
    host = _host(ctx)
    _require_asleep(ctx, host)
    if VirtualMachine.objects.filter(host=host).exists() or VirtualMachine.objects.filter(moving_to=host).exists():
        _stay(ctx, host, N_("machines run on it, or have their memory saved there"))
    if not ctx.args.get("cut") and any(one.power in UP for one in hosts.guarded(ctx, host).observe()):
        _stay(ctx, host, N_("a machine was brought to it, not by Berth"))

    def off(device: FenceDevice) -> None:
        if not fencing.is_off(device):
            ctx.save(cut=True)
            ctx.check()
            fencing.switch(device, "off")
        ctx.save(device=str(device.pk), cut=True, cut_at=clock.now().timestamp())

    obeyed(ctx, host, off)


def was_cut(ctx: Context) -> bool:
    return "device" in ctx.args


def give(ctx: Context) -> None:
    """Power again, where it may have been cut; what does not work is told by the step before."""
    if ctx.args.get("cut"):
        try:
            obeyed(ctx, _host(ctx), lambda device: fencing.switch(device, "on"))
        except BerthError:
            return  # the host stays asleep, and is woken when it is needed


def verify(ctx: Context) -> None:
    """Off is what power management calls off."""
    host = _host(ctx)
    device = host.fence_devices.filter(pk=ctx.args["device"]).first()
    if device is not None and fencing.is_off(device):
        return
    if clock.now().timestamp() - ctx.args["cut_at"] < VERIFY_SECONDS:
        raise NotYet(1.0, N_("Waiting for power management to say that it is off"))
    raise Conflict(
        N_("Power management took the order, but does not say that %(host)s is off."), rule="power.verified",
        fix=N_("Look at the host and its power management. When it answers, it is in service by itself."),
        host=host.name,
    )  # fmt: skip


def settle(ctx: Context) -> None:
    host = _host(ctx)
    with ctx.write():
        if Host.objects.filter(pk=host.pk, state=HostState.ASLEEP, asleep_at=None).update(asleep_at=clock.now()):
            record("host.asleep", actor=JobActor(ctx.job), subject=host, name=host.name,
                   message=N_("%(name)s was switched off to save power"))  # fmt: skip
            publish("host", host.pk, "changed")


def obeyed(ctx: Context, host: Host, order: Callable[[FenceDevice], None]) -> None:
    """Give the order to each fence device in turn until one takes it. Raises Unavailable with what the last said."""
    last = Unavailable(
        N_("%(host)s has no fence device."), rule="fence.device", fix=N_("Add one on its page."), host=host.name
    )
    for device in host.fence_devices.all():
        ctx.check()
        try:
            order(device)
            return
        except Unavailable as error:
            last = error
    raise last


def _host(ctx: Context) -> Host:
    return Host.objects.select_related("cluster").get(pk=ctx.job.subject_id)


def _require_asleep(ctx: Context, host: Host) -> None:
    if host.state != HostState.ASLEEP:
        _stay(ctx, host, N_("somebody wants it otherwise"))


def _stay(ctx: Context, host: Host, why: str) -> NoReturn:
    """That somebody needs it after all is no failure: the job ends as one that was cancelled."""
    with ctx.write():
        record("host.stays-on", actor=JobActor(ctx.job), subject=host, name=host.name, why=why,
               message=N_("%(name)s stays on: %(why)s"))  # fmt: skip
    raise CancelRequested


register(
    Plan(
        SLEEP_PLAN,
        N_("Switch off to save power"),
        "host",
        (
            Step("leave", leave, N_("Take it out of service"), probe=has_left, undo=serve_again),
            Step("hand-over", hand_over, N_("Say of machines that are off that they are on other hosts"),
                 no_undo="A machine that is off may be said to be on any host."),
            Step("cut", cut, N_("Switch it off"), probe=was_cut, undo=give, last_exit=True),
            Step("verify", verify, N_("See that it is off"), no_undo="Only looks."),
            Step("settle", settle, N_("Count it as asleep"), no_undo="It is true: it was seen off."),
        ),
    )
)  # fmt: skip
