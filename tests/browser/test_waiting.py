"""Waiting in a browser: the page keeps its place by itself and goes to the desktop that comes; admins see why."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from broker.core import clock
from pools.aiming import make_forecast
from pools.models import Assignment, Desktop, Pool, PoolWaiter
from pools.reconcile import reconcile_pool

from .test_pages import violations

pytestmark = pytest.mark.browser
WORKDAYS = {"days": [0, 1, 2, 3, 4], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin"}


@pytest.fixture
def full(site):
    """The pool has no desktop left; Root stands before Bob in its queue."""
    world, now = site.world, clock.now()
    Desktop.objects.filter(pk=site.free.pk).update(state="assigned", holder=world.charlie, held_since=now)
    night = {**WORKDAYS, "start": "20:00", "end": "05:00", "prestarted": 0, "size": None, "suspended": None}
    Pool.objects.filter(pk=site.pool.pk).update(
        size=2, max_per_user=1, created_at=now - timedelta(weeks=4), forecast=True, zone="Europe/Berlin",
        schedule=[{**WORKDAYS, "size": None, "prestarted": 2, "suspended": 1}, night], hours=[],
    )  # fmt: skip
    for day in range(1, 27):
        for number in range(day % 4):
            begin = now.replace(hour=7, minute=0) - timedelta(days=day, minutes=-20 * number)
            Assignment.objects.create(
                pool=site.pool, desktop_name="x", user=world.root, since=begin,
                until=begin + timedelta(minutes=90 + 60 * number),
            )  # fmt: skip
    make_forecast(Pool.objects.get(pk=site.pool.pk))
    world.grant(world.bob, "pool-user", site.pool)
    PoolWaiter.objects.create(pool=site.pool, user=world.root)
    return site


def test_a_place_is_kept_and_leads_to_the_desktop(full, visit):
    page = visit("bob", "/")
    page.get_by_role("button", name="Connect", exact=True).click()
    page.get_by_text("You are 2nd in the queue").wait_for()
    place = PoolWaiter.objects.get(user=full.world.bob)
    PoolWaiter.objects.filter(pk=place.pk).update(seen_at=clock.now() - timedelta(seconds=60))
    with page.expect_response(lambda answer: "/wait/beat" in answer.url, timeout=30_000):
        pass
    place.refresh_from_db()
    assert place.seen_at > clock.now() - timedelta(seconds=30), "the page asks by itself"
    PoolWaiter.objects.filter(user=full.world.root).delete()
    Desktop.objects.filter(pk=full.free.pk).update(state="free", holder=None, held_since=None)
    reconcile_pool(full.pool.pk)
    expect(page).to_have_url(re.compile(f"{reverse('portal:console', args=[full.free.pk])}$"), timeout=30_000)


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", False), ("light", True)])
def test_the_pages_are_accessible(full, visit, theme, phone):
    PoolWaiter.objects.create(pool=full.pool, user=full.world.bob)
    seen = [("bob", reverse("portal:pool-wait", args=[full.pool.pk])), ("bob", "/")]
    seen += [("root", reverse(f"portal:{name}", args=[full.pool.pk])) for name in ("pool", "pool-times", "pool-edit")]
    for who, address in seen:
        page = visit(who, address, theme=theme, phone=phone)
        page.wait_for_load_state("load")
        assert violations(page) == [], address
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, f"{address} is wider than its window"
