"""host.fence: cut the power of a host, and believe it only when power management says that it is off.

The host is declared lost by the step that saw it off, before it is switched on again: one that boots within a second is
none the less a host whose machines are gone.
"""

from datetime import datetime

from broker.core import clock
from broker.core.errors import BerthError, Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt.ha import fencing, moments
from broker.virt.ha.duty import write_verdict
from broker.virt.ha.judge import Decision, Ruling
from broker.virt.ha.loss import declare_lost
from broker.virt.ha.lun_leases import Doubt, doubt
from broker.virt.ha.rules import HaRules
from broker.virt.models import Host, HostHealth

from .host_ask import answers

VERIFY_SECONDS = 15.0
OFF = Ruling(Decision.DEAD, "power-off", N_("its power was cut, and power management says that it is off"))


def ask(ctx: Context) -> None:
    """A last time, unless an administrator wants it fenced whatever it says."""
    host = _host(ctx)
    if not ctx.args.get("manual") and answers(host):
        raise Conflict(
            N_("%(host)s answers, so it is not fenced."),
            rule="host.answers",
            fix=N_("Nothing needs to be done."),
            host=host.name,
        )


def cut(ctx: Context) -> None:
    """Try each device in its order until one obeys."""
    host, errors = _host(ctx), []
    for device in host.fence_devices.all():
        ctx.check()
        try:
            if not fencing.is_off(device):
                ctx.check()
                fencing.switch(device, "off")
            ctx.save(device=str(device.pk), cut_at=clock.now().timestamp(), cut=moments.now().isoformat())
            return
        except Unavailable as error:
            errors.append(error)
    _failed(ctx, host, errors[-1] if errors else _no_device(host))


def was_cut(ctx: Context) -> bool:
    return "device" in ctx.args


def verify(ctx: Context) -> None:
    """Only power management's word that it is off counts."""
    host = _host(ctx)
    device = host.fence_devices.filter(pk=ctx.args["device"]).first()
    try:
        if device is not None and fencing.is_off(device):
            _believe(ctx, host)
            return
    except Unavailable as error:
        _failed(ctx, host, error)
    if clock.now().timestamp() - ctx.args["cut_at"] < VERIFY_SECONDS:
        raise NotYet(1.0, N_("Waiting for power management to say that it is off"))
    _failed(
        ctx, host,
        Unavailable(
            N_("Power management took the order, but does not say that %(host)s is off."), rule="fence.verified",
            fix=N_("Look at the host and its power management; when it is off, confirm that it was rebooted."),
            host=host.name,
        ),
    )  # fmt: skip


def _believe(ctx: Context, host: Host) -> None:
    """Not while the host renews a lease on LUNs, where nothing else would keep two copies of a machine apart."""
    cut = datetime.fromisoformat(ctx.args["cut"]) if "cut" in ctx.args else moments.now()
    found = doubt(host, cut=cut, now=moments.now())
    if found is Doubt.WAIT:
        raise NotYet(1.0, N_("Waiting to see that it no longer renews its lease on LUNs"))
    if found is Doubt.LIE:
        _failed(
            ctx, host,
            Unavailable(
                N_("Power management says that %(host)s is off, but its lease on LUNs is renewed."),
                rule="fence.verified", host=host.name,
                fix=N_("Look at the host and its power management; when it is off, confirm that it was rebooted."),
            ),
        )  # fmt: skip


def settle(ctx: Context) -> None:
    """The host is lost: its machines are off, and those that are highly available are restarted elsewhere."""
    host = _host(ctx)
    with ctx.write():
        now = moments.now()
        health, _ = HostHealth.objects.get_or_create(host=host)
        HostHealth.objects.filter(pk=health.pk).update(off_at=now)
        ctx.save(settled=True)
        declare_lost(host, health, at=now)
        health.refresh_from_db()
        write_verdict(health, OFF)
        record("host.fenced", actor=JobActor(ctx.job), subject=host, severity="warning", name=host.name,
               message=N_("%(name)s was fenced: its power was cut"))  # fmt: skip


def settled(ctx: Context) -> bool:
    return bool(ctx.args.get("settled"))


def give(ctx: Context) -> None:
    """Switch it on again, where the cluster wants that; what does not work is told, and does no harm."""
    host = _host(ctx)
    device = host.fence_devices.filter(pk=ctx.args["device"]).first()
    if device is None or not HaRules.of(host.cluster.ha).power_on:
        return
    try:
        fencing.switch(device, "on")
    except BerthError as error:
        with ctx.write():
            record("host.not-powered-on", actor=JobActor(ctx.job), subject=host, severity="warning", name=host.name,
                   message=N_("%(name)s was not switched on again: %(cause)s"), cause=error.message)  # fmt: skip


def _host(ctx: Context) -> Host:
    return Host.objects.select_related("cluster").get(pk=ctx.job.subject_id)


def _no_device(host: Host) -> Unavailable:
    return Unavailable(
        N_("%(host)s has no fence device."), rule="fence.device", fix=N_("Add one on its page."), host=host.name
    )


def _failed(ctx: Context, host: Host, error: Unavailable) -> None:
    """Note the try, so that the next comes later, and end the job: waiting here would hold up everything else."""
    with ctx.write():
        HostHealth.objects.filter(host=host).update(tried_at=moments.now())
    raise Conflict(
        N_("%(host)s was not fenced. %(cause)s"), rule="fence.failed", fix=error.fix, host=host.name,
        cause=error.message,
    )  # fmt: skip


register(
    Plan(
        "host.fence",
        N_("Fence"),
        "host",
        (
            Step("ask", ask, N_("Ask it a last time"), no_undo="Only asks."),
            Step("cut", cut, N_("Cut its power"), probe=was_cut, last_exit=True,
                 no_undo="Power that was cut is given again by an administrator who knows why."),
            Step("verify", verify, N_("See that it is off"), no_undo="Only looks."),
            Step("settle", settle, N_("Count its machines as off"), probe=settled,
                 no_undo="It is true: the host was seen off."),
            Step("give", give, N_("Switch it on again"), no_undo="A host that runs does no harm."),
        ),
    )
)  # fmt: skip
