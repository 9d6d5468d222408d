"""A clock that stands until it is moved, and a pool that is booked."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.core import clock
from pools.actions.book import book
from pools.actions.set_booking_rules import set_booking_rules
from pools.models import Booking, Pool

from .conftest import SYSTEM, free_rows

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday


class Hands:
    """The hands of the clock; moments are told in minutes after noon."""

    def __init__(self) -> None:
        self.now = NOON

    def at(self, minute: float) -> datetime:
        return NOON + timedelta(minutes=minute)

    def go(self, minute: float) -> None:
        self.now = self.at(minute)


@pytest.fixture
def hands():
    found = Hands()
    clock.use(wall=lambda: found.now, steady_clock=lambda: (found.now - NOON).total_seconds())
    yield found
    clock.restore()


@pytest.fixture
def booked(world, hands):
    """`booked(size=…, capacity=…, …)`: a pool of rows of which desktops are booked; Alice and Bob may use it."""

    def make(size: int = 1, *, name: str = "lab", pool: dict | None = None, **rules) -> Pool:
        made = Pool.objects.create(
            name=name, title="Lab", cluster=world.cluster, template=world.template, storage=world.storage, size=size,
            **(pool or {}),
        )  # fmt: skip
        world.grant(world.alice, "pool-user", made)
        world.grant(world.staff, "pool-user", made)
        free_rows(made, world, size)
        set_booking_rules(actor=SYSTEM, pool=made, booked=True, **{"walk_in": False, **rules})
        return made

    return make


@pytest.fixture
def reserve(world, hands):
    """`reserve(pool, "alice", 60, 120)`: booked by her, in minutes after noon."""

    def make(pool: Pool, who: str, start: float, end: float, **values) -> Booking:
        return book(actor=world.actor(who), pool=pool, start=hands.at(start), end=hands.at(end), **values)

    return make
