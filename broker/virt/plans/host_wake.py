"""host.wake: a host that was switched off to save power is switched on, and in service when it answers.

One that does not is told of once, and stays asleep; whoever needed it has another woken.
"""

from datetime import datetime, timedelta

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt.ha import fencing
from broker.virt.models import Host
from broker.virt.placement.policy import Policy
from broker.virt.power_facts import WAKE_PLAN
from broker.virt.states import HOST, HostState

from .host_sleep import obeyed

LOOK_EVERY = 2.0


def power(ctx: Context) -> None:
    """Switch it on by the first fence device that obeys."""
    host = _host(ctx)
    try:
        obeyed(ctx, host, lambda device: fencing.switch(device, "on"))
    except BerthError as error:
        raise _failed(host, error) from error
    ctx.save(on=clock.now().isoformat())


def was_switched_on(ctx: Context) -> bool:
    return "on" in ctx.args


def answer(ctx: Context) -> None:
    """Wait until the monitor has heard of it since it was switched on."""
    host, since = _host(ctx), datetime.fromisoformat(ctx.args["on"])
    if host.state != HostState.ASLEEP or (not host.error and host.observed_at and host.observed_at > since):
        return
    minutes = Policy.of(host.cluster.rules).wake_minutes
    if clock.now() - since < timedelta(minutes=minutes):
        raise NotYet(LOOK_EVERY, N_("Waiting until it answers"))
    error = Conflict(
        N_("it was switched on, and has not answered within %(minutes)s minutes"), rule="power.answers",
        fix=N_("Look at its screen. When it answers, it is in service by itself."), minutes=minutes,
    )  # fmt: skip
    raise _failed(host, error)


def serve(ctx: Context) -> None:
    """In service; the event tells how long it took."""
    host, now = _host(ctx), clock.now()
    with ctx.write():
        if HOST.attempt(Host.objects.filter(pk=host.pk), "wake", asleep_at=None, empty_since=now):
            record("host.woke", actor=JobActor(ctx.job), subject=host, name=host.name,
                   seconds=round((now - ctx.job.created_at).total_seconds()),
                   message=N_("%(name)s is awake and in service, after %(seconds)s seconds"))  # fmt: skip
            publish("host", host.pk, "changed")


def _host(ctx: Context) -> Host:
    return Host.objects.select_related("cluster").get(pk=ctx.job.subject_id)


def _failed(host: Host, error: BerthError) -> Conflict:
    """The event of the job that fails is the one alert there is."""
    return Conflict(
        N_("%(host)s did not wake: %(cause)s"), rule="power.wakes", fix=error.fix, host=host.name, cause=error.message
    )


register(
    Plan(
        WAKE_PLAN,
        N_("Wake"),
        "host",
        (
            Step("power", power, N_("Switch it on"), probe=was_switched_on, last_exit=True,
                 no_undo="A host that runs does no harm; when it answers it is in service."),
            Step("answer", answer, N_("Wait until it answers"), no_undo="Only looks."),
            Step("serve", serve, N_("Put it into service"), no_undo="It answers, so machines may be started on it."),
        ),
    )
)  # fmt: skip
