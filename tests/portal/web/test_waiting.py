"""The pages of who waits, and what an admin sees of readiness: places, estimates, times, forecast."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from broker.core import clock
from pools.aiming import make_forecast
from pools.models import Assignment, Desktop, Pool, PoolWaiter
from pools.reconcile import reconcile_pool

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOURS = {"days": [0, 1, 2, 3, 4, 5, 6], "start": "00:00", "end": "00:00", "zone": "UTC"}


@pytest.fixture
def full(site):
    """Alice's pool has no desktop left for Bob and Charlie."""
    Desktop.objects.filter(pk=site.free.pk).update(state="assigned", holder=site.world.root, held_since=clock.now())
    Pool.objects.filter(pk=site.pool.pk).update(size=2, max_per_user=1)
    site.world.grant(site.world.bob, "pool-user", site.pool)
    site.world.grant(site.world.charlie, "pool-user", site.pool)
    return site


def url(name: str, site) -> str:
    return reverse(f"portal:{name}", args=[site.pool.pk])


def test_connect_leads_to_the_queue_when_none_is_free(full):
    bob, charlie = full.client("bob"), full.client("charlie")
    answer = bob.post(url("pool-take", full), headers=HTMX)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, url("pool-wait", full))
    assert charlie.post(url("pool-take", full))["Location"] == url("pool-wait", full)
    page = charlie.get(url("pool-wait", full)).content.decode()
    assert "You are 2nd in the queue" in page
    assert "Nobody can say yet" in page
    assert "2 people wait." in page
    home = charlie.get("/").content.decode()
    assert "You are 2nd in the queue" in home
    assert url("pool-beat", full) in home


def test_looking_at_the_page_takes_no_place(full):
    page = full.client("bob").get(url("pool-wait", full)).content.decode()
    assert "You are not waiting here" in page
    assert not PoolWaiter.objects.exists()


def test_a_beat_keeps_the_place_and_leads_to_the_desktop(full):
    bob = full.client("bob")
    bob.post(url("pool-take", full))
    PoolWaiter.objects.update(seen_at=clock.now() - timedelta(seconds=60))
    answer = bob.post(url("pool-beat", full), headers=HTMX)
    assert "You are 1st in the queue" in answer.content.decode()
    assert PoolWaiter.objects.get().seen_at > clock.now() - timedelta(seconds=20)
    Desktop.objects.filter(pk=full.free.pk).update(state="free", holder=None, held_since=None)
    reconcile_pool(full.pool.pk)
    answer = bob.post(url("pool-beat", full), headers=HTMX)
    assert answer["HX-Redirect"] == reverse("portal:console", args=[full.free.pk])
    assert not PoolWaiter.objects.exists()


def test_leaving_the_queue(full):
    bob = full.client("bob")
    bob.post(url("pool-take", full))
    assert bob.post(url("pool-leave", full), headers=HTMX)["HX-Redirect"] == "/"
    assert not PoolWaiter.objects.exists()


def test_a_stranger_finds_no_queue(full):
    outsider = full.client("")
    assert outsider.get(url("pool-wait", full)).status_code == 302
    assert outsider.post(url("pool-beat", full)).status_code == 302


def test_an_estimate_is_in_words(full):
    from portal.web.waiting import estimate

    assert estimate(1) == "About 1 minute."
    assert estimate(61) == "About 2 minutes."
    assert "hour" in estimate(4000)
    assert "Nobody can say" in estimate(None)


def test_a_closed_pool_says_when_it_opens(full):
    day = (clock.now() + timedelta(days=2)).weekday()
    Pool.objects.filter(pk=full.pool.pk).update(hours=[{**HOURS, "days": [day]}], after_hours="warn")
    home = full.client("bob").get("/").content.decode()
    assert "Closed" in home
    assert "it opens on" in home
    assert full.client("bob").post(url("pool-take", full)).status_code == 409
    assert "The pool is closed." in full.client("alice").get("/").content.decode(), "who is inside is told"
    Pool.objects.filter(pk=full.pool.pk).update(after_hours="keep")
    assert "The pool is closed." not in full.client("alice").get("/").content.decode()


def rows(prefix: str, *given: dict) -> dict[str, object]:
    """A formset as a browser sends it."""
    data: dict[str, object] = {f"{prefix}-TOTAL_FORMS": len(given) + 1, f"{prefix}-INITIAL_FORMS": 0}
    for number, row in enumerate([*given, {"zone": "UTC"}]):
        data |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return data


def test_times_are_set_on_a_page(site):
    root, seen = site.client("root"), site.pool.revision
    rule = {"days": ["0", "4"], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin", "prestarted": "3"}
    data = {"revision": seen, **rows("schedule", rule), **rows("hours", {k: rule[k] for k in list(rule)[:4]})}
    assert root.get(url("pool-times", site)).status_code == 200
    assert root.post(url("pool-times", site), data).status_code == 302
    site.pool.refresh_from_db()
    window = {"days": [0, 4], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin"}
    assert site.pool.schedule == [{**window, "size": None, "prestarted": 3, "suspended": None}]
    assert site.pool.hours == [window]
    page = root.get(url("pool", site)).content.decode()
    assert "Mon, Fri 07:00–18:00 (Europe/Berlin): 3 running" in page
    assert 'value="07:00"' in root.get(url("pool-times", site)).content.decode()
    assert root.post(url("pool-times", site), data).status_code == 400, "somebody, oneself even, was faster"
    later = {"revision": site.pool.revision, **rows("schedule"), **rows("hours")}
    assert root.post(url("pool-times", site), later).status_code == 302
    site.pool.refresh_from_db()
    assert (site.pool.schedule, site.pool.hours) == ([], [])


@pytest.mark.parametrize(
    "wrong", [{"start": ""}, {"days": []}, {"zone": "Mars/Olympus"}, {"prestarted": "-1"}, {"prestarted": ""}]
)
def test_wrong_times_are_shown_at_the_form(site, wrong):
    rule = {"days": ["0"], "start": "07:00", "end": "18:00", "zone": "UTC", "prestarted": "3", **wrong}
    data = {"revision": site.pool.revision, **rows("schedule", rule), **rows("hours")}
    answer = site.client("root").post(url("pool-times", site), data)
    assert answer.status_code == 400
    site.pool.refresh_from_db()
    assert site.pool.schedule == []


def test_only_who_manages_the_pool_sets_its_times(site):
    assert site.client("alice").get(url("pool-times", site)).status_code == 403
    assert site.client("charlie").get(url("pool-times", site)).status_code == 404


def test_an_admin_reads_the_forecast_and_the_queue(full):
    now = clock.now()
    Pool.objects.filter(pk=full.pool.pk).update(created_at=now - timedelta(weeks=4), forecast=True)
    for week in range(1, 4):
        begin = now - timedelta(weeks=week, hours=1)
        Assignment.objects.create(
            pool=full.pool, desktop_name="x", user=full.world.root, since=begin, until=begin + timedelta(hours=3)
        )
    make_forecast(Pool.objects.get(pk=full.pool.pk))
    full.client("bob").post(url("pool-take", full))
    reconcile_pool(full.pool.pk)
    page = full.client("root").get(url("pool", full)).content.decode()
    assert "Expected in use, by weekday and hour" in page
    assert re.search("1 from [34] samples: the same hour of earlier weeks", page)
    assert "the pool goes by it" in page
    assert "In the queue" in page
    assert "Expected in use" not in full.client("alice").get(url("pool", full)).content.decode()
