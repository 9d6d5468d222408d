"""Bookings over the API: booking, moving, cancelling and blocking; what is free; what others may see of it."""

from datetime import timedelta

import pytest

from broker.core import clock
from pools.models import Booking, Pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab(world, make_pool):
    pool = make_pool("lab", size=2)
    for person in (world.alice, world.bob):
        world.grant(person, "pool-user", pool)
    return pool


@pytest.fixture
def switched_on(lab, caller):
    body = {"booked": True, "capacity": 1, "walk_in": False, "zone": "Europe/Berlin", "cancel_until": 5}
    answer = caller("root").patch(f"pools/{lab.pk}/booking-rules/", body)
    assert answer.status_code == 200, answer.content
    assert answer.json() | body == answer.json()
    return lab


def moments(hours: float, minutes: int = 60) -> dict[str, str]:
    start = clock.now().replace(second=0, microsecond=0) + timedelta(hours=hours)
    return {"start": start.isoformat(), "end": (start + timedelta(minutes=minutes)).isoformat()}


def test_a_desktop_is_booked_moved_and_cancelled(switched_on, caller):
    alice, path = caller("alice"), f"pools/{switched_on.pk}/bookings/"
    made = alice.post(path, moments(24))
    assert made.status_code == 201, made.content
    assert (made.json()["state"], made.json()["user"]["name"]) == ("booked", "alice")
    refused = caller("bob").post(path, moments(24.5))
    assert (refused.status_code, refused.json()["rule"]) == (409, "booking.free")
    one = f"{path}{made.json()['id']}/"
    assert alice.patch(one, moments(30)).json()["start"] == moments(30)["start"].replace("+00:00", "Z")
    assert caller("bob").post(path, moments(24.5)).status_code == 201
    assert alice.post(f"{one}cancel/", {"reason": "Ill"}).json()["reason"] == "Ill"
    assert alice.post(f"{one}cancel/", {}).status_code == 409
    assert [row["state"] for row in alice.get(path).json()["results"]] == ["cancelled"]
    assert alice.get(path, state="booked").json()["results"] == []


def test_others_neither_see_nor_touch_it(switched_on, caller):
    path = f"pools/{switched_on.pk}/bookings/"
    one = f"{path}{caller('alice').post(path, moments(24)).json()['id']}/"
    bob = caller("bob")
    assert bob.get(path).json()["results"] == []
    for answer in (bob.get(one), bob.patch(one, moments(30)), bob.post(f"{one}cancel/", {}),
                   caller("charlie").get(path), caller("charlie").post(path, moments(40)),
                   caller("charlie").get(f"pools/{switched_on.pk}/free-times/")):  # fmt: skip
        assert answer.status_code == 404
    assert bob.patch(f"pools/{switched_on.pk}/booking-rules/", {"booked": False}).status_code == 403
    assert bob.post(f"{path}block/", moments(50)).status_code == 403
    # The address of another pool does not lead to it either.
    other = Pool.objects.create(
        name="x", title="X", cluster=switched_on.cluster, template=switched_on.template, booked=True
    )
    assert caller("root").get(f"pools/{other.pk}/bookings/{Booking.objects.get().pk}/").status_code == 404


def test_who_manages_it_books_for_others_and_blocks_times(world, switched_on, caller):
    root, path = caller("root"), f"pools/{switched_on.pk}/bookings/"
    assert root.post(path, {**moments(24), "user": str(world.bob.pk)}).json()["user"]["name"] == "bob"
    assert root.post(f"{path}block/", {**moments(23, 120), "reason": "Cabling"}).status_code == 409
    blocked = root.post(f"{path}block/", {**moments(23, 120), "reason": "Cabling", "cancel_others": True})
    assert (blocked.status_code, blocked.json()["user"], blocked.json()["kind"]) == (201, None, "block")
    assert [(row["kind"], row["state"]) for row in root.get(path).json()["results"]] == [
        ("block", "booked"), ("booked", "cancelled")
    ]  # fmt: skip
    assert caller("bob").get(path).json()["results"][0]["reason"] == "Cabling"


def test_what_is_free_is_told_hour_by_hour(switched_on, caller):
    path = f"pools/{switched_on.pk}/free-times/"
    found = caller("alice").get(path).json()
    assert (found["capacity"], len(found["times"])) == (1, 168)
    assert found["next_free"] and {row["free"] for row in found["times"]} <= {0, 1}
    for day in ("soon", "2026-02-30", "9999-12-31", "2026-W01-1"):
        assert caller("alice").get(path, day=day).status_code == 400


def test_bad_bodies(switched_on, caller):
    alice, path = caller("alice"), f"pools/{switched_on.pk}/bookings/"
    for body in ({}, {"start": "x", "end": "y"}, {**moments(24), "colour": 1}, moments(-2), moments(24, 0),
                 moments(24, -60), moments(24, 10**6), {**moments(24), "user": "me"}):  # fmt: skip
        assert alice.post(path, body).status_code == 400, body


def test_connecting_outside_of_a_booking_says_the_rule(switched_on, caller):
    refused = caller("alice").post(f"pools/{switched_on.pk}/take/")
    assert (refused.status_code, refused.json()["rule"]) == (409, "pool.booking")
    assert refused.json()["looked_at"] and "Book it" in refused.json()["fix"]
