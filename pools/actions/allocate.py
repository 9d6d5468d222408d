"""Give a user a desktop of a pool: the verb behind Connect."""

from django.db import transaction
from django.db.models import Case, Exists, Q, QuerySet, Value, When

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Denied, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from broker.sql import Given, Statement, part_of, time
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.states import VmState
from pools.bringing_up import Allocation, bring_up
from pools.holding import hand_over, jobs_on_desktops, running
from pools.hours import require_open
from pools.models import Desktop, Pool
from pools.queue import gone_before, waiting
from pools.refusals import none_free
from pools.silence import on_silent_host
from pools.states import POOL, DesktopState
from pools.wake import wake

TRIES = 5
# Of a machine's many columns only those that are looked at: this is the hot path of a morning.
_NEEDED = ("pool", "number", "state", "changed_at", "vm__name", "vm__title", "vm__state", "vm__power_state")
_OFF = (PowerState.OFF, PowerState.SUSPENDED, PowerState.CRASHED, PowerState.UNKNOWN)


def allocate(*, actor: Actor, pool: Pool) -> Allocation:
    """The actor's desktop of `pool`: a running one at once, else one that is being started.

    Who has as many as the pool allows gets one of those again. Raises Missing or Denied, Conflict (the pool is
    being deleted, or the actor's desktop cannot be started now), and NoCapacity with what was looked at.
    """
    require(actor, "pool.use", pool)
    if actor.user is None:
        raise Denied(N_("Only a user can have a desktop."), rule="access.user", fix=N_("Sign in as a user."))
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."),
            rule="pool.open",
            about=pool,
            fix=N_("Ask your administrator for another one."),
            pool=str(pool),
        )
    try:
        with transaction.atomic():
            return _allocate(actor, actor.user, pool)
    except NoCapacity as refusal:
        _tell(actor, pool, refusal)
        raise


def _allocate(actor: Actor, user: User, pool: Pool) -> Allocation:
    # Two tabs of one user come one after the other; the lock is one that foreign keys to the user do not mind.
    _LOCK.rows(user=user.pk)
    if len(_MINE.rows(user=user.pk, pool=pool.pk)) >= pool.max_per_user:
        return bring_up(actor, max(_OWN.objects(user=user.pk, pool=pool.pk), key=running))
    require_open(pool)
    for attempt in range(TRIES):
        desktop = _running(pool, attempt) or _other(pool, attempt)
        if desktop is None:
            break
        if hand_over(actor, desktop, user, how="allocated"):
            if pool.prestarted or pool.suspended or pool.target:
                wake(pool.pk)
            return bring_up(actor, desktop)
    raise none_free(pool)


def _free(pool: Pool | Given, attempt: int, since: Given | None = None) -> QuerySet[Desktop]:
    """Free desktops of machines that are whole, locked; none while others wait in the queue. Those that somebody is
    about to take are passed over at first, and waited for later: not everybody who looks takes."""
    rows = Desktop.objects.filter(pool=pool, state=DesktopState.FREE, vm__state=VmState.READY)
    rows = rows.filter(~Exists(waiting(pool, since))).select_related("vm").only(*_NEEDED)
    return rows.select_for_update(of=("self",), skip_locked=attempt == 0, no_key=True)


def _running_ones(attempt: int) -> Statement:
    """The first that is found on a host that answers: unordered, so that none has to be compared with others.

    Later attempts also look whether a job is taking the machine away: else they would find the same one again.
    """
    staying = ~Exists(jobs_on_desktops(bringing_up=False)) if attempt else Q()
    return Statement(
        lambda: (
            _free(Given("pool"), attempt, time("since"))
            .filter(staying, vm__power_state=PowerState.RUNNING, vm__host__error="")
            .order_by()
            .values_list("pk", "number", "changed_at", "vm__name", "vm__title")[:1]
        )
    )


# Built once: this is the hot path of a morning.
_LOCK = Statement(
    lambda: User.objects.select_for_update(no_key=True).filter(pk=Given("user")).order_by().values_list("pk")
)
_MINE = Statement(lambda: Desktop.objects.filter(holder=Given("user"), pool=Given("pool")).order_by().values_list("pk"))
_OWN = Statement(
    lambda: Desktop.objects.filter(holder=Given("user"), pool=Given("pool")).select_related("vm").order_by()
)
_RUNNING = {False: _running_ones(0), True: _running_ones(1)}


def _running(pool: Pool, attempt: int) -> Desktop | None:
    """One that runs on a host that answers."""
    for pk, number, changed, name, title in _RUNNING[attempt > 0].rows(pool=pool.pk, since=gone_before()):
        vm = part_of(VirtualMachine, id=pk, name=name, title=title, state=VmState.READY, power_state=PowerState.RUNNING)
        return part_of(Desktop, vm=vm, pool=pool, number=number, state=DesktopState.FREE, changed_at=changed)
    return None


def _other(pool: Pool, attempt: int) -> Desktop | None:
    """One that is awake in seconds, else one that is being started, else one that can be."""
    coming = Exists(jobs_on_desktops(bringing_up=True))
    rows = (
        _free(pool, attempt)
        .filter(Q(coming) | Q(vm__power_state__in=_OFF), ~Exists(jobs_on_desktops(bringing_up=False)))
        .alias(silent=on_silent_host())
        .filter(silent=False)
    )
    return rows.order_by(_readiness(coming), "failures", "number").first()


def _readiness(coming: Exists) -> Case:
    """Order of what is not running: the less, the sooner it is there."""
    asleep = When(vm__power_state=PowerState.SUSPENDED, then=Value(0))
    return Case(asleep, When(coming, then=Value(1)), default=Value(2))


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
            explanation=refusal.as_dict(),
        )
        wake(pool.pk)
