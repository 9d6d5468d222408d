"""News from machines, their jobs and the people there: have the pool, or the desktop, looked at."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from broker.connections.models import Session
from broker.events.news import subscribe
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement
from pools.models import Desktop, Pool
from pools.states import PoolState

from .wake import WAKER

# What may change a pool's needs; thumbnails, guest information and progress do not.
RELEVANT = frozenset({"power", "vm.created", "kept"})
_OF_THE_SAME = Desktop.objects.filter(pool=OuterRef(OuterRef("pool"))).order_by().values("pk")
_AT_WORK = Job.objects.filter(subject_kind="vm", state__in=sorted(ACTIVE), subject_id__in=_OF_THE_SAME).order_by()
_POOL_OF = Statement(lambda: Desktop.objects.filter(vm=Given("vm")).order_by().values_list("pool_id"))
_POOL_AND_WORK = Statement(
    lambda: Desktop.objects.filter(vm=Given("vm")).order_by().values_list("pool_id", Exists(_AT_WORK))
)


@subscribe("vm")
def machine_changed(id: str, change: str) -> None:
    """Only sends a wake-up: what follows from the news is for the reconciler to see."""
    if change == "deleted":
        for going in Pool.objects.filter(state=PoolState.DELETING).values_list("pk", flat=True):
            WAKER.wake(going)
    elif change == "job-ended":
        for pool_id, at_work in _POOL_AND_WORK.rows(vm=UUID(id)):
            WAKER.wake(pool_id, at_once=not at_work)
    elif change in RELEVANT:
        for (pool_id,) in _POOL_OF.rows(vm=UUID(id)):
            WAKER.wake(pool_id)


@subscribe("template")
def template_changed(id: str, change: str) -> None:
    """A version of it became ready, maybe: pools that follow the newest look what it means for them."""
    if change == "changed":
        for pool_id in Pool.objects.filter(template=UUID(id), state=PoolState.ACTIVE).values_list("pk", flat=True):
            WAKER.wake(pool_id)


@subscribe("session")
def session_changed(id: str, change: str) -> None:
    """Somebody came or left: what the pool's session rules say is looked up by a worker."""
    if change not in ("opened", "closed"):
        return
    sessions = Session.objects.filter(pk=UUID(id)).values("vm_id")
    row = Desktop.objects.filter(
        Q(pool__session_rules__isnull=False) | Q(pool__booked=True), vm__in=sessions
    ).values_list("pk", flat=True)
    if (desktop := row.first()) is not None:
        from .tasks import look_at_desktop  # loads Celery, which a gateway without such pools is spared

        look_at_desktop.apply_async(args=(str(desktop),), ignore_result=True)


@subscribe("message")
def message_sent(id: str, change: str) -> None:
    """Show it in the guest as well, if its agent can."""
    from .tasks import tell_guest

    tell_guest.apply_async(args=(id,), ignore_result=True)
