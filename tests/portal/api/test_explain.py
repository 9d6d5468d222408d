"""Dry runs and time to desktop over the API: what they say, and to whom."""

import pytest

from broker.connections.models import SessionTiming
from broker.core import clock
from pools.models import PoolGoal

from .conftest import make_pool  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool(world, make_pool):  # noqa: F811
    pool = make_pool("seats")
    world.grant(world.alice, "pool-user", pool)
    return pool


def test_why_would_charlie_get_none(world, caller, pool):
    told = caller("root").get(f"pools/{pool.pk}/explain/", user=world.charlie.pk).json()
    assert (told["works"], told["why"]["rule"]) == (False, "access.right")
    assert told["fix"]
    assert {table["kind"] for table in told["tables"]} == {"vm", "host"}


def test_it_is_for_who_manages_the_pool(world, caller, pool):
    address = f"pools/{pool.pk}/explain/"
    assert caller("alice").get(address, user=world.bob.pk).status_code == 403
    assert caller("charlie").get(address, user=world.bob.pk).status_code == 404
    assert caller("root").get(address).json()["rule"] == "input.user"
    assert caller("root").get(address, user="nobody").status_code == 404


def test_would_it_start(world, caller, make_vm):
    vm = make_vm("lonely")
    told = caller("root").get(f"vms/{vm.pk}/explain-start/").json()
    assert [row["name"] for table in told["tables"] for row in table["rows"]] == [world.host.name]
    assert caller("charlie").get(f"vms/{vm.pk}/explain-start/").status_code == 404


def test_time_to_desktop_and_its_goal(world, caller, pool):
    now = clock.now()
    SessionTiming.objects.create(
        pool_id=pool.pk, began_at=now, at=now, picture=800, total=4000, looked_up=True, counted=True
    )
    address = f"pools/{pool.pk}/time-to-desktop/"
    assert caller("root").post(f"pools/{pool.pk}/set-goal/", {"seconds": 5}).json()["within_goal"] == 1.0
    told = caller("alice").get(address, days=1).json()
    assert (told["count"], told["goal"], told["slowest"]) == (1, 5, "picture")
    phases = {phase["phase"]: phase for phase in told["phases"]}
    assert phases["total"]["p95"] == 4.0
    assert phases["boot"]["p95"] is None
    assert caller("alice").post(f"pools/{pool.pk}/set-goal/", {"seconds": 1}).status_code == 403
    assert caller("charlie").get(address).status_code == 404
    assert caller("root").get(address, days=3).status_code == 400
    assert caller("root").post(f"pools/{pool.pk}/set-goal/", {"seconds": None}).json()["goal"] is None
    assert not PoolGoal.objects.exists()
