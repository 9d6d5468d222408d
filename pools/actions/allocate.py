"""Give a user a desktop of a pool: the verb behind Connect."""

from dataclasses import dataclass
from typing import Literal

from django.db import transaction
from django.db.models import Case, Exists, Q, QuerySet, Value, When

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Denied, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import PowerState
from broker.virt.states import VmState
from pools.holding import BRINGING_UP, hand_over, jobs_on_desktops, running
from pools.models import Desktop, Pool
from pools.refusals import none_free
from pools.states import POOL, DesktopState
from pools.wake import wake

TRIES = 5
# Of a machine's many columns only those that are looked at: this is the hot path of a morning.
_NEEDED = ("pool", "number", "state", "changed_at", "vm__name", "vm__title", "vm__state", "vm__power_state")
_OFF = (PowerState.OFF, PowerState.SUSPENDED, PowerState.CRASHED, PowerState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A desktop that is the user's now. `job` brings it up while it is "starting"."""

    desktop: Desktop
    state: Literal["ready", "starting"]
    job: Job | None = None


def allocate(*, actor: Actor, pool: Pool) -> Allocation:
    """The actor's desktop of `pool`: a running one at once, else one that is being started.

    Who has as many as the pool allows gets one of those again. Raises Missing or Denied, Conflict (the pool is
    being deleted, or the actor's desktop cannot be started now), and NoCapacity with what was looked at.
    """
    require(actor, "pool.use", pool)
    if actor.user is None:
        raise Denied(N_("Only a user can have a desktop."), fix=N_("Sign in as a user."))
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."), fix=N_("Ask your administrator for another one."), pool=str(pool)
        )
    try:
        with transaction.atomic():
            return _allocate(actor, actor.user, pool)
    except NoCapacity as refusal:
        _tell(actor, pool, refusal)
        raise


def _allocate(actor: Actor, user: User, pool: Pool) -> Allocation:
    # Two tabs of one user come one after the other; the lock is one that foreign keys to the user do not mind.
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk").order_by())
    mine = Desktop.objects.filter(holder=user, pool=pool)
    if mine.count() >= pool.max_per_user:
        return _bring_up(actor, max(mine.select_related("vm"), key=running))
    for attempt in range(TRIES):
        desktop = _running(pool, attempt) or _other(pool, attempt)
        if desktop is None:
            break
        if hand_over(actor, desktop, user, how="allocated"):
            if pool.prestarted:
                wake(pool.pk)
            return _bring_up(actor, desktop)
    raise none_free(pool)


def _free(pool: Pool, attempt: int) -> QuerySet[Desktop]:
    """Free desktops of machines that are whole, locked. Those that somebody is about to take are passed over at
    first, and waited for later: not everybody who looks takes."""
    rows = Desktop.objects.filter(pool=pool, state=DesktopState.FREE, vm__state=VmState.READY)
    rows = rows.select_related("vm").only(*_NEEDED)
    return rows.select_for_update(of=("self",), skip_locked=attempt == 0, no_key=True)


def _running(pool: Pool, attempt: int) -> Desktop | None:
    """Any that runs on a host that answers: unordered, so that the first one found will do."""
    rows = _free(pool, attempt).filter(vm__power_state=PowerState.RUNNING, vm__host__error="")
    return next(iter(rows.order_by()[:1]), None)


def _other(pool: Pool, attempt: int) -> Desktop | None:
    """One that is being started, else one that can be."""
    coming = Exists(jobs_on_desktops(bringing_up=True))
    rows = _free(pool, attempt).filter(
        Q(coming) | Q(vm__power_state__in=_OFF), ~Exists(jobs_on_desktops(bringing_up=False))
    )
    return rows.order_by(Case(When(coming, then=Value(0)), default=Value(1)), "failures", "number").first()


def _bring_up(actor: Actor, desktop: Desktop) -> Allocation:
    """The desktop as it is, started or resumed if need be."""
    vm = desktop.vm
    if vm.power_state == PowerState.RUNNING:
        return Allocation(desktop, "ready")
    job = Job.objects.filter(subject_kind="vm", subject_id=vm.pk, state__in=ACTIVE).first()
    if job is None or job.plan not in BRINGING_UP:
        wakener = resume_vm if vm.power_state == PowerState.PAUSED else start_vm
        job = wakener(actor=actor, vm=vm)  # raises Busy while another job has the machine
    return Allocation(desktop, "starting", job)


def _tell(actor: Actor, pool: Pool, refusal: NoCapacity) -> None:
    """The refusal took back everything; that it happened is written down on its own."""
    with transaction.atomic():
        record(
            "pool.exhausted",
            actor=actor,
            subject=pool,
            severity="warning",
            message=N_("%(user)s got no desktop of %(pool)s: %(cause)s"),
            user=actor.name,
            pool=pool,
            cause=refusal.message,
        )
        wake(pool.pk)
