"""The pages of bookings: the calendar and its form, cards, and what who manages the pool sees and does."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from broker.core import clock
from pools.actions.set_booking_rules import set_booking_rules
from pools.models import Booking, Desktop, Pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab(site):
    """Bob and Alice may use the pool; Alice has a desktop of it since before it was booked."""
    site.world.grant(site.world.bob, "pool-user", site.pool)
    set_booking_rules(actor=site.world.actor("root"), pool=site.pool, booked=True, walk_in=False, capacity=2)
    return site


def url(name: str, site) -> str:
    return reverse(f"portal:{name}", args=[site.pool.pk])


def text(answer) -> str:
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def form(hours: int, minutes: int = 60, **more) -> dict[str, str]:
    at = clock.now() + timedelta(hours=hours)
    return {"day": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}", "minutes": str(minutes), **more}


def test_a_booking_is_made_moved_and_cancelled_in_the_calendar(lab):
    bob, calendar = lab.client("bob"), url("booking-calendar", lab)
    page = text(bob.get(calendar))
    assert "Book a desktop" in page and "of 2 free" in page and "You have booked nothing here." in page
    assert bob.post(calendar, form(30)).status_code == 302
    made = Booking.objects.get(user=lab.world.bob)
    page = text(bob.get(calendar))
    assert "Booked:" in page and f"move={made.pk}" in page
    assert "Move your booking" in text(bob.get(calendar, {"move": made.pk}))
    assert bob.post(calendar, form(40, 90, booking=str(made.pk))).status_code == 302
    moved = Booking.objects.get(pk=made.pk)
    assert (moved.end - moved.start, moved.start > made.start) == (timedelta(minutes=90), True)
    bob.post(reverse("portal:booking-cancel", args=[made.pk]))
    assert Booking.objects.get(pk=made.pk).state == "cancelled"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (form(-5), "That time has passed."), (form(24 * 20), "too far ahead"), (form(3, 7), "not one of the available"),
        (form(3, day="soon"), "valid date"), (form(3, time="25:00"), "valid time"), ({}, "required"),
        (form(3, booking="x"), "no such booking"), (form(3, day="9999-12-31"), "too far"),
    ],
)  # fmt: skip
def test_what_cannot_be_booked_is_said_at_the_form(lab, values, said):
    answer = lab.client("bob").post(url("booking-calendar", lab), values)
    assert answer.status_code == 400 and said in text(answer)


def test_odd_addresses_show_the_calendar_all_the_same(lab):
    bob = lab.client("bob")
    for query in ({"day": "x"}, {"day": "0001-01-01"}, {"at": "y"}, {"move": "z"}, {"move": str(lab.pool.pk)},
                  {"at": "2026-03-29T02:30"}, {"day": "9999-12-31"}):  # fmt: skip
        answer = bob.get(url("booking-calendar", lab), query)
        assert answer.status_code in (200, 404), query


def test_the_refusal_of_a_full_time_says_what_is_in_the_way(lab):
    for who in ("alice", "root"):
        Booking.objects.create(
            pool=lab.pool, user=getattr(lab.world, who), start=clock.now() + timedelta(hours=29),
            end=clock.now() + timedelta(hours=33),
        )  # fmt: skip
    page = text(lab.client("bob").post(url("booking-calendar", lab), form(30)))
    assert "All desktops of Desk pool are booked at that time; as long is free from" in page


def test_strangers_and_other_users_find_nothing(lab):
    made = Booking.objects.create(
        pool=lab.pool, user=lab.world.alice, start=clock.now() + timedelta(hours=2),
        end=clock.now() + timedelta(hours=3),
    )  # fmt: skip
    assert lab.client("charlie").get(url("booking-calendar", lab)).status_code == 404
    bob = lab.client("bob")
    assert bob.post(reverse("portal:booking-cancel", args=[made.pk])).status_code == 404
    assert bob.get(url("booking-calendar", lab), {"move": made.pk}).status_code == 404
    assert bob.get(reverse("portal:booking-cancel-of", args=[made.pk])).status_code == 404
    for name in ("pool-bookings", "pool-block", "pool-booking-rules"):
        assert bob.get(url(name, lab)).status_code == 403, name
    assert "alice" not in text(bob.get(url("booking-calendar", lab))).lower()


def test_who_manages_the_pool_sees_books_cancels_and_blocks(lab):
    root, home = lab.client("root"), reverse("portal:home")
    assert "no such user" in text(root.post(url("booking-calendar", lab), form(30, user="nobody")))
    assert root.post(url("booking-calendar", lab), form(30, user="bob")).status_code == 302
    made = Booking.objects.get(user=lab.world.bob)
    assert "Your booking begins on" in text(lab.client("bob").get(home))
    page = text(root.get(url("pool-bookings", lab)))
    assert "bob" in page and "without a booking" in page
    cancel = reverse("portal:booking-cancel-of", args=[made.pk])
    assert "Cancel the booking of bob" in text(root.get(cancel))
    assert root.post(cancel, {"reason": "Exam in the room"}).status_code == 302
    assert "Exam in the room" in text(lab.client("bob").get(home))
    day = f"{clock.now() + timedelta(days=3):%Y-%m-%d}"
    block = {"day": day, "time": "08:00", "last_day": day, "until": "12:00", "reason": "Cabling"}
    assert root.post(url("pool-block", lab), {**block, "until": "07:00"}).status_code == 400
    assert root.post(url("pool-block", lab), block).status_code == 302
    assert "08:00: blocked" in text(lab.client("bob").get(url("booking-calendar", lab)))
    assert "End the block" in text(
        root.get(reverse("portal:booking-cancel-of", args=[Booking.objects.get(kind="block").pk]))
    )


def test_the_rules_are_read_on_the_page_of_the_pool_and_changed(lab):
    root = lab.client("root")
    assert "who has not come after 15 minutes loses it" in text(root.get(url("pool", lab)))
    names = {"shortest": 30, "longest": 60, "ahead": 5, "per_person": 1, "grace": 5, "cancel_until": 10, "zone": "UTC"}
    assert root.post(url("pool-booking-rules", lab), {**names, "booked": "on", "longest": 20}).status_code == 400
    assert root.post(url("pool-booking-rules", lab), {**names, "booked": "on"}).status_code == 302
    assert "Changed until 10 minutes before".lower() in text(root.get(url("pool", lab))).lower()
    assert root.post(url("pool-booking-rules", lab), names).status_code == 302
    assert not Pool.objects.get(pk=lab.pool.pk).booked
    assert "are not booked" in text(lab.client("bob").get(url("booking-calendar", lab)))


def test_the_cards_say_until_when_and_lead_to_the_calendar(lab):
    page = text(lab.client("alice").get(reverse("portal:home")))
    assert "Yours until" in page
    page = text(lab.client("bob").get(reverse("portal:home")))
    assert "Its desktops are booked for a time." in page and url("booking-calendar", lab) in page
    now = clock.now()
    Booking.objects.create(pool=lab.pool, user=lab.world.bob, start=now, end=now + timedelta(hours=1))
    page = text(lab.client("bob").get(reverse("portal:home")))
    assert "Your time has begun; it ends on" in page and url("pool-take", lab) in page


def test_who_signs_in_lands_at_the_desktop_only_when_its_time_has_come(lab):
    from tests.world import PASSWORD

    lab.world.charlie.set_password(PASSWORD)
    lab.world.charlie.save()
    lab.world.grant(lab.world.charlie, "pool-user", lab.pool)
    set_booking_rules(actor=lab.world.actor("root"), pool=lab.pool, walk_in=True)

    def sign_in() -> str:
        sent = {"username": "charlie", "password": PASSWORD}
        return lab.client("").post(reverse("portal:sign-in"), sent).url

    assert sign_in() == reverse("portal:home")
    assert not Desktop.objects.filter(holder=lab.world.charlie).exists(), "maybe only to book"
    now = clock.now()
    Booking.objects.create(pool=lab.pool, user=lab.world.charlie, start=now, end=now + timedelta(hours=1))
    assert sign_in() == reverse("portal:console", args=[lab.free.pk])


def test_the_pages_take_the_same_queries_however_much_is_booked(lab):
    def asked(address: str) -> int:
        client = lab.client("root")
        client.get(address)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        return len(queries)

    addresses = [url("booking-calendar", lab), url("pool-bookings", lab), reverse("portal:home")]
    before = [asked(address) for address in addresses]
    now = timezone.now()
    for hour in range(1, 30):
        Booking.objects.create(
            pool=lab.pool, user=lab.world.root, start=now + timedelta(hours=hour), end=now + timedelta(hours=hour + 1)
        )
    assert [asked(address) for address in addresses] == before
    assert Desktop.objects.filter(booking__isnull=False).count() == 1
