"""News from machines and their jobs: have the pool of the machine looked at."""

from uuid import UUID

from broker.events.news import subscribe
from pools.models import Desktop, Pool
from pools.states import PoolState

from .wake import WAKER

# What may change a pool's needs; thumbnails, guest information and progress do not.
RELEVANT = frozenset({"power", "job-ended", "vm.created", "kept"})


@subscribe("vm")
def machine_changed(id: str, change: str) -> None:
    """Only sends a wake-up: what follows from the news is for the reconciler to see."""
    if change == "deleted":
        for going in Pool.objects.filter(state=PoolState.DELETING).values_list("pk", flat=True):
            WAKER.wake(going)
    elif change in RELEVANT:
        pool_id = Desktop.objects.filter(vm_id=UUID(id)).values_list("pool_id", flat=True).first()
        if pool_id is not None:
            WAKER.wake(pool_id)
