"""Pool, MetaPool, Desktop, Assignment, PoolWaiter, PoolForecast, SessionRules, Sitting, Booking."""

from .assignment import Assignment
from .booking import Booking, BookingRules
from .desktop import Desktop
from .forecast import PoolForecast
from .goal import PoolGoal
from .meta_pool import MetaMember, MetaPool
from .pool import Pool
from .rollout import Rollout
from .session_rules import SessionRules
from .sitting import Sitting
from .waiter import PoolWaiter

__all__ = [
    "Assignment",
    "Booking",
    "BookingRules",
    "Desktop",
    "MetaMember",
    "MetaPool",
    "Pool",
    "PoolForecast",
    "PoolGoal",
    "PoolWaiter",
    "Rollout",
    "SessionRules",
    "Sitting",
]
