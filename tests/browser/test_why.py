"""Why something was refused, unfolded in the page; and how long people wait for a desktop, drawn."""

from datetime import timedelta

import pytest
from django.urls import reverse

from broker.connections.models import SessionTiming
from broker.core import clock
from broker.core.errors import NoCapacity, Reason
from pools.models import Pool, PoolGoal

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture
def troubled(site):
    """A pool of which no more desktops can be made, and of which some were opened."""
    reason = Reason("host-1", "memory", "%(free)s MiB left", kind="host", id=site.world.host.pk, words="full", free=3)
    alert = NoCapacity("No host can take it.", fix="Add one.", rule="placement.host", reasons=[reason]).as_dict()
    Pool.objects.filter(pk=site.pool.pk).update(alert=alert)
    PoolGoal.objects.create(pool=site.pool, seconds=5)
    now = clock.now()
    SessionTiming.objects.bulk_create(
        SessionTiming(
            pool_id=site.pool.pk, began_at=now, at=now - timedelta(hours=number), boot=number * 100, picture=300,
            total=number * 200, counted=True,
        )
        for number in range(40)
    )  # fmt: skip
    return site


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_unfolded_stays_so_when_the_page_is_refreshed(troubled, visit, theme):
    page = visit("root", reverse("portal:pool", args=[troubled.pool.pk]), theme=theme)
    page.wait_for_selector("html[data-live-socket=open]")
    page.locator("details.why > summary").first.click()
    page.wait_for_selector("text=3 MiB left")
    page.wait_for_selector("time-chart canvas")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        page.evaluate("import(document.querySelector('script[src*=\"app\"]').src.replace('app.js', 'live.js'))"
                      ".then((live) => live.refresh())")  # fmt: skip
    page.wait_for_function("document.querySelector('details.why').open")
    assert violations(page) == []


def test_a_dry_run_is_a_page(troubled, visit):
    page = visit("root", reverse("portal:pool-explain", args=[troubled.pool.pk]))
    page.fill("#explain-user", "charlie")
    page.click("button:has-text('Ask')")
    page.wait_for_selector("text=access.right")
    assert page.locator("table.verdicts").count() == 2
    assert violations(page) == []


def test_the_goal_is_set_in_the_page(troubled, visit):
    page = visit("root", reverse("portal:pool", args=[troubled.pool.pk]))
    page.fill("#goal-seconds", "12")
    page.click("form[action$='/goal'] button")
    page.wait_for_selector("text=within the goal of 12 s")
    assert PoolGoal.objects.get(pool=troubled.pool).seconds == 12
