"""Readiness over the API: waiting with 202 and a place, times and forecast of a pool, protection."""

from datetime import timedelta

import pytest

from broker.core import clock
from pools.models import Desktop, Pool, PoolForecast
from pools.reconcile import reconcile_pool

pytestmark = pytest.mark.django_db
RULE = {"days": [0], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin", "size": 3}


@pytest.fixture
def full(world, make_pool, make_desktop):
    pool = make_pool("desk", size=1)
    make_desktop(pool, holder=world.root)
    Desktop.objects.update(held_since=clock.now())
    for person in (world.alice, world.bob):
        world.grant(person, "pool-user", pool)
    return pool


def test_taking_answers_202_with_a_place_until_a_desktop_comes(full, caller):
    first = caller("alice").post(f"pools/{full.pk}/take/")
    assert first.status_code == 202
    place = first.json()
    assert (place["state"], place["position"], place["waiting"], place["seconds"]) == ("waiting", 1, 1, None)
    assert place["pool"]["id"] == str(full.pk)
    assert caller("bob").post(f"pools/{full.pk}/wait/").json()["position"] == 2
    Desktop.objects.update(state="free", holder=None, held_since=None)
    reconcile_pool(full.pk)
    assert caller("bob").post(f"pools/{full.pk}/take/").json()["position"] == 1
    came = caller("alice").post(f"pools/{full.pk}/take/")
    assert came.status_code == 200
    assert came.json()["state"] == "starting"
    assert came.json()["job"]


def test_leaving(full, caller):
    caller("alice").post(f"pools/{full.pk}/take/")
    caller("bob").post(f"pools/{full.pk}/take/")
    assert caller("alice").post(f"pools/{full.pk}/leave/").status_code == 204
    assert caller("bob").post(f"pools/{full.pk}/take/").json()["position"] == 1


def test_nobody_else_has_a_place(full, caller):
    for call in ("take", "wait", "leave"):
        assert caller("charlie").post(f"pools/{full.pk}/{call}/").status_code == 404


def test_how_a_pool_keeps_ready_is_read_and_written(world, caller):
    root = caller("root")
    body = {
        "name": "ready", "template": str(world.template.pk), "size": 4, "prestarted": 1, "suspended": 2,
        "zone": "Europe/Berlin", "schedule": [RULE], "forecast": True, "protected": True, "after_hours": "warn",
    }  # fmt: skip
    made = root.post("pools/", body)
    assert made.status_code == 201, made.content
    pool = made.json()
    assert pool["storage"] is None
    assert pool["schedule"] == [{**RULE, "prestarted": None, "suspended": None}]
    assert (pool["suspended"], pool["forecast"], pool["protected"], pool["target"]) == (2, True, True, None)
    assert root.delete(f"pools/{pool['id']}/").status_code == 409
    hours = [{"days": [6], "start": "22:00", "end": "06:00", "zone": "UTC"}]
    changed = root.patch(f"pools/{pool['id']}/", {"hours": hours, "protected": False, "revision": pool["revision"]})
    assert changed.json()["hours"] == hours
    assert root.patch(f"pools/{pool['id']}/", {"size": 9, "revision": pool["revision"]}).status_code == 409
    assert Pool.objects.get(pk=pool["id"]).size == 4


@pytest.mark.parametrize(
    "body",
    [
        {"schedule": [{}]}, {"schedule": "x"}, {"schedule": [{**RULE, "days": [9]}]}, {"hours": [RULE]},
        {"schedule": [{**RULE, "zone": "Nowhere/At/All"}]}, {"schedule": [{**RULE, "start": "7"}]}, {"zone": "x"},
        {"schedule": [{**RULE, "days": []}]}, {"schedule": [{**RULE, "size": -1}]}, {"suspended": 99},
        {"after_hours": "never"}, {"forecast": "yes"}, {"protected": None},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(full, caller, body):
    assert caller("root").patch(f"pools/{full.pk}/", body).status_code == 400
    full.refresh_from_db()
    assert (full.schedule, full.hours, full.zone, full.suspended) == ([], [], "UTC", 0)


def test_the_forecast_is_told_to_who_manages_the_pool(full, caller):
    assert caller("root").get(f"pools/{full.pk}/forecast/").status_code == 404
    PoolForecast.objects.create(pool=full, cells=[[[2, 6, "hour"]] * 24] * 7, weeks=6)
    answer = caller("root").get(f"pools/{full.pk}/forecast/").json()
    assert [len(day) for day in answer["days"]] == [24] * 7
    assert answer["days"][0][0] == {"expected": 2, "samples": 6, "basis": "hour"}
    assert (answer["on"], answer["weeks"]) == (False, 6)
    assert caller("alice").get(f"pools/{full.pk}/forecast/").status_code == 403
    assert caller("charlie").get(f"pools/{full.pk}/forecast/").status_code == 404


def test_outside_of_its_hours_it_says_when_it_opens(full, caller):
    day = (clock.now() + timedelta(days=2)).weekday()
    hours = [{"days": [day], "start": "00:00", "end": "00:00", "zone": "UTC"}]
    Pool.objects.filter(pk=full.pk).update(hours=hours)
    answer = caller("alice").post(f"pools/{full.pk}/take/")
    assert answer.status_code == 409
    assert "it opens on" in answer.json()["detail"]
