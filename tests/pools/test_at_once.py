"""Admins and users at the same instant: a pool is resized, refreshed and deleted while people sign in (F30)."""

import pytest

from broker.access.actor import Actor
from broker.core.errors import BerthError, Conflict, NoCapacity
from pools.actions.allocate_meta import allocate_meta
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import edit_pool
from pools.actions.entitle import entitle
from pools.actions.reset_desktop import reset_desktop
from pools.actions.retire_desktop import retire_desktop
from pools.models import Assignment, Desktop, MetaPool, Pool, PoolWaiter
from pools.reconcile import reconcile_pool
from pools.taking import take_or_wait
from tests.pools.test_crowd import all_at_once, check_consistent, crowd, parallel, people, pool_of, take  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Actor.system("test")


def test_a_pool_is_resized_and_refreshed_while_people_sign_in(people, parallel):  # noqa: F811
    pool = pool_of(people, parallel)
    users = crowd(people, parallel - 4)

    def shrink():
        edit_pool(actor=ROOT, pool=Pool.objects.get(pk=pool.pk), size=2)
        return reconcile_pool(pool.pk)

    def refresh():
        for desktop in Desktop.objects.filter(pool=pool, state="free").select_related("vm", "pool"):
            try:
                reset_desktop(actor=ROOT, desktop=desktop)
            except BerthError:
                continue

    results = all_at_once([*(take(pool, user) for user in users), shrink, refresh])
    unexpected = [result for result in results if isinstance(result, Exception) and not isinstance(result, NoCapacity)]
    assert unexpected == []
    served = [result for result in results[: len(users)] if not isinstance(result, Exception)]
    for result in served:
        row = Desktop.objects.get(pk=result.desktop.pk)
        assert (row.state, row.holder_id) == ("assigned", result.desktop.holder_id), "what somebody has stays theirs"
    check_consistent(pool)


def test_of_two_admins_with_one_page_one_is_told(people):  # noqa: F811
    pool = pool_of(people, 3)
    seen = Pool.objects.get(pk=pool.pk).revision

    def resize(size):
        return lambda: edit_pool(actor=ROOT, pool=Pool.objects.get(pk=pool.pk), revision=seen, size=size)

    results = all_at_once([resize(5), resize(7)])
    refused = [result for result in results if isinstance(result, Exception)]
    assert [type(result) for result in refused] == [Conflict]
    (written,) = (result for result in results if not isinstance(result, Exception))
    assert Pool.objects.get(pk=pool.pk).size == written.size


def test_a_pool_is_deleted_with_people_in_it_and_at_its_door(people, parallel):  # noqa: F811
    pool = pool_of(people, parallel)
    users = crowd(people, parallel // 2)
    for user in users[:3]:
        take(pool, user)()

    def delete():
        return delete_pool(actor=ROOT, pool=Pool.objects.get(pk=pool.pk), force=True)

    results = all_at_once([*(take(pool, user) for user in users[3:]), delete, delete])
    deleted = [result for result in results[-2:] if not isinstance(result, Exception)]
    assert len(deleted) == 1, "twice asked, once done"
    unexpected = [
        result for result in results[:-2] if isinstance(result, Exception) and not isinstance(result, Conflict)
    ]
    assert unexpected == []
    assert Pool.objects.get(pk=pool.pk).state == "deleting"
    check_consistent(pool)


def test_a_desktop_is_retired_or_taken_never_both(people, parallel):  # noqa: F811
    pool = pool_of(people, parallel // 2)
    users = crowd(people, parallel // 2)

    def retire(number):
        desktop = Desktop.objects.select_related("vm", "pool").get(pool=pool, number=number)
        return lambda: retire_desktop(actor=ROOT, desktop=desktop)

    results = all_at_once([*(take(pool, user) for user in users), *(retire(number) for number in range(1, 4))])
    assert not [
        result for result in results if isinstance(result, Exception) and not isinstance(result, NoCapacity | Conflict)
    ]
    assert not Desktop.objects.filter(pool=pool, state="retiring", holder__isnull=False).exists()
    check_consistent(pool)


def test_a_crowd_queues_up_and_each_gets_one_when_it_comes(people, parallel):  # noqa: F811
    size = parallel // 2
    pool = pool_of(people, size)
    users = crowd(people, parallel)

    def connect(user):
        from pools.actions.allocate import allocate

        return lambda: take_or_wait(allocate, actor=Actor.for_user(user), pool=Pool.objects.get(pk=pool.pk))

    results = all_at_once([connect(user) for user in users])
    assert [result for result in results if isinstance(result, Exception)] == []
    order = list(PoolWaiter.objects.order_by("pk").values_list("user", flat=True))
    assert len(order) == parallel - size
    Assignment.objects.update(until="2026-01-01T00:00:00Z")
    Desktop.objects.filter(pool=pool).update(state="free", holder=None, held_since=None)
    reconcile_pool(pool.pk)
    served = set(PoolWaiter.objects.filter(desktop__isnull=False).values_list("user", flat=True))
    assert served == set(order[:size])
    assert Desktop.objects.filter(pool=pool, holder__in=order).count() == len(served)


def test_a_crowd_at_a_meta_pool_gets_one_each_of_all_its_pools(people, parallel):  # noqa: F811
    half = parallel // 2
    pools = [pool_of(people, half, name=name) for name in ("north", "south")]
    meta = create_meta_pool(actor=ROOT, name="office", pools=pools)
    users = crowd(people, half)
    for user in users:
        entitle(actor=ROOT, pool=meta, user=user)

    def connect(user):
        return lambda: allocate_meta(actor=Actor.for_user(user), meta=MetaPool.objects.get(pk=meta.pk))

    # Each from two tabs at once: both show the same desktop.
    results = all_at_once([connect(user) for user in users for _tab in range(2)])
    assert [result for result in results if isinstance(result, Exception)] == []
    for first, second in zip(results[::2], results[1::2], strict=True):
        assert first.allocation.desktop.pk == second.allocation.desktop.pk
    held = dict(Desktop.objects.filter(holder__isnull=False).values_list("pk", "holder"))
    assert sorted(held.values()) == sorted(user.pk for user in users)
    assert dict(Assignment.objects.filter(until=None).values_list("desktop", "user")) == held
