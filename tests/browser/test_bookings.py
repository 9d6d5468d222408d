"""Booking in a browser: a time is chosen in the calendar, it comes, and the desktop opens."""

import re
import time
from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from broker.core import clock
from broker.virt.models import VirtualMachine
from pools.actions.set_booking_rules import set_booking_rules
from pools.models import Booking, Desktop

from .test_console import CONSOLES, OPEN
from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture
def lab(site):
    VirtualMachine.objects.filter(pk=site.free.pk).update(consoles=CONSOLES)
    site.world.grant(site.world.bob, "pool-user", site.pool)
    set_booking_rules(
        actor=site.world.actor("root"), pool=site.pool, booked=True, walk_in=False, capacity=2, zone="Europe/Berlin"
    )
    yield site
    clock.restore()


def go_to(moment) -> None:
    """Berth's clock goes on from `moment`."""
    begun = time.monotonic()
    clock.use(wall=lambda: moment + timedelta(seconds=time.monotonic() - begun), steady_clock=time.monotonic)


def test_a_desktop_is_booked_with_the_keyboard_and_opens_when_its_time_comes(lab, visit, gateway):
    page = visit("bob", "/")
    page.get_by_role("link", name="Book a time").click()
    # The calendar's numbers are links: chosen by the keyboard, they fill in the form.
    cell = page.locator(".booking-week td.free a").last
    cell.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"at=20\d\d"))
    chosen = page.input_value("#id_day")
    page.select_option("#id_minutes", "60")
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text("Booked:").first.wait_for()
    made = Booking.objects.get(user=lab.world.bob)
    assert (made.end - made.start, made.state) == (timedelta(hours=1), "booked")
    assert chosen
    page.goto("/")
    page.get_by_text("Your booking begins on").wait_for()
    assert page.get_by_role("button", name="Connect", exact=True).count() == 0
    go_to(made.start + timedelta(seconds=5))
    page.reload()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page).to_have_url(re.compile(f"{reverse('portal:console', args=[lab.free.pk])}$"), timeout=30_000)
    page.wait_for_selector(OPEN)
    assert Desktop.objects.get(pk=lab.free.pk).booking.pk == made.pk


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", False), ("light", True), ("dark", True)])
def test_the_calendar_is_accessible_fits_a_phone_and_keeps_up(lab, visit, theme, phone):
    now = clock.now().replace(second=0, microsecond=0)
    Booking.objects.create(
        pool=lab.pool, user=lab.world.bob, start=now + timedelta(hours=3), end=now + timedelta(hours=5)
    )
    page = visit("bob", reverse("portal:booking-calendar", args=[lab.pool.pk]), theme=theme, phone=phone)
    page.wait_for_selector(".booking-week td.mine")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_selector("html[data-live-socket=open]")
    before = page.inner_text("[aria-labelledby=mine-head]")
    set_booking_rules(actor=lab.world.actor("root"), pool=lab.pool, capacity=5)
    page.get_by_text("5 of 5 free").first.wait_for(state="attached")
    assert page.inner_text("[aria-labelledby=mine-head]") == before


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_pages_of_who_manages_it_are_accessible(lab, visit, theme, phone):
    made = Booking.objects.create(
        pool=lab.pool, user=lab.world.bob, start=clock.now() + timedelta(hours=3), end=clock.now() + timedelta(hours=5)
    )
    addresses = [reverse(f"portal:{name}", args=[lab.pool.pk]) for name in
                 ("pool-bookings", "pool-block", "pool-booking-rules", "booking-calendar", "pool")]  # fmt: skip
    page = visit("root", addresses[0], theme=theme, phone=phone)
    for address in (*addresses, reverse("portal:booking-cancel-of", args=[made.pk])):
        page.goto(address)
        assert violations(page) == [], address
