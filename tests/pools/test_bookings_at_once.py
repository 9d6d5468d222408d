"""Many book at the same instant, from many tabs: never more than there are, at no instant (real threads)."""

from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Conflict, OverQuota
from broker.directories.models import User
from pools.actions.allocate import allocate
from pools.actions.book import book
from pools.actions.edit_pool import edit_pool
from pools.actions.move_booking import move_booking
from pools.actions.set_booking_rules import set_booking_rules
from pools.booked import intervals
from pools.booking import peak
from pools.models import Booking, Desktop, Pool
from tests.pools.test_crowd import all_at_once, crowd, parallel, people, pool_of  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Actor.system("test")


def booked_pool(world, size: int, **rules) -> Pool:
    pool = pool_of(world, size)
    set_booking_rules(actor=ROOT, pool=pool, booked=True, per_person=20, **rules)
    return pool


def wish(pool: Pool, user: User, start, minutes: int = 60):
    def go():
        me = Actor.for_user(User.objects.get(pk=user.pk))
        return book(actor=me, pool=Pool.objects.get(pk=pool.pk), start=start, end=start + timedelta(minutes=minutes))

    return go


def most(pool: Pool) -> int:
    taken = intervals(Booking.objects.filter(pool=pool, state__in=("booked", "taken")))
    return max((peak(taken, one.start, one.end) for one in taken), default=0)


def test_as_many_are_booked_as_there_are_and_the_rest_is_told(people, parallel):  # noqa: F811
    size = parallel // 4
    pool = booked_pool(people, size)
    start = clock.now() + timedelta(hours=1)
    results = all_at_once(
        [wish(pool, user, start + timedelta(minutes=index % 3)) for index, user in enumerate(crowd(people, parallel))]
    )
    refused = [result for result in results if isinstance(result, Exception)]
    assert {type(result) for result in refused} == {Conflict}
    assert len(results) - len(refused) == size == most(pool)


def test_one_person_in_many_tabs_books_a_time_once(people, parallel):  # noqa: F811
    pool = booked_pool(people, parallel)
    (user,) = crowd(people, 1)
    results = all_at_once([wish(pool, user, clock.now() + timedelta(hours=1)) for _tab in range(parallel)])
    assert [type(result) for result in results if isinstance(result, Exception)] == [OverQuota] * (parallel - 1)
    assert Booking.objects.count() == 1


def test_moving_booking_and_shrinking_at_once_never_come_to_too_many(people, parallel):  # noqa: F811
    size = 4
    pool = booked_pool(people, size)
    users = crowd(people, parallel // 2)
    start = clock.now() + timedelta(hours=1)
    made = [wish(pool, user, start + timedelta(hours=index // 2))() for index, user in enumerate(users)]

    def move(booking: Booking):
        def go():
            row = Booking.objects.select_related("pool").get(pk=booking.pk)
            me = Actor.for_user(User.objects.get(pk=booking.user_id))
            return move_booking(actor=me, booking=row, start=start, end=start + timedelta(hours=1))

        return go

    def shrink():
        return edit_pool(actor=ROOT, pool=Pool.objects.get(pk=pool.pk), size=2)

    more = [wish(pool, user, start + timedelta(hours=100)) for user in users]
    results = all_at_once([*map(move, made), *more, shrink])
    assert not [one for one in results if isinstance(one, Exception) and not isinstance(one, BerthError)]
    assert most(pool) <= Pool.objects.get(pk=pool.pk).size


def test_who_comes_without_a_booking_takes_none_that_is_booked_at_the_same_instant(people, parallel):  # noqa: F811
    size = parallel // 4
    pool = booked_pool(people, size)
    users = crowd(people, parallel)

    def walk_in(user: User):
        me = Actor.for_user(User.objects.get(pk=user.pk))
        return lambda: allocate(actor=me, pool=Pool.objects.get(pk=pool.pk))

    now = clock.now()
    half = parallel // 2
    results = all_at_once([*map(walk_in, users[:half]), *(wish(pool, user, now) for user in users[half:])])
    assert not [one for one in results if isinstance(one, Exception) and not isinstance(one, BerthError)]
    assert most(pool) == size
    assert Desktop.objects.filter(holder__isnull=False).count() == Booking.objects.filter(kind="walk-in").count()
