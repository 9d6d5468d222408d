"""A free desktop of a pool for a user: which one is taken, and that no two take the same."""

from django.db.models import Case, Exists, Q, QuerySet, Value, When

from broker.access.actor import Actor
from broker.directories.models import User
from broker.sql import Given, Statement, part_of, time
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.states import VmState

from .admission import admit, enter
from .bringing_up import Allocation, bring_up
from .holding import hand_over, jobs_on_desktops
from .hours import require_open
from .models import Desktop, Pool
from .physical import ready
from .queue import gone_before, waiting
from .refusals import none_free
from .silence import on_silent_host
from .states import DesktopState
from .wake import wake

TRIES = 5
# Of a machine's many columns only those that are looked at: this is the hot path of a morning.
_NEEDED = ("pool", "number", "state", "changed_at", "vm__name", "vm__title", "vm__state", "vm__power_state")
_OFF = (PowerState.OFF, PowerState.SUSPENDED, PowerState.CRASHED, PowerState.UNKNOWN)


def lock(user: User) -> None:
    """Two tabs of one user come one after the other; the lock is one that foreign keys to the user do not mind."""
    _LOCK.rows(user=user.pk)


def hand_out(actor: Actor, user: User, pool: Pool) -> Allocation:
    """A free desktop of `pool`, within a transaction that holds the user's lock. Raises Conflict or NoCapacity."""
    require_open(pool)
    entry = admit(user, pool)
    for attempt in range(TRIES):
        if pool.is_physical:
            desktop = ready(_free(pool, attempt)).first()
        else:
            desktop = _running(pool, attempt) or _other(pool, attempt)
        if desktop is None:
            break
        if hand_over(actor, desktop, user, how="allocated"):
            enter(entry, desktop, pool)
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
