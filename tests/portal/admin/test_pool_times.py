"""The times of a pool in the back office: set in rows, refused where they make no sense, and only by who manages it."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.portal.web.conftest import site  # noqa: F401 - a fixture
from tests.portal.web.test_waiting import rows

pytestmark = pytest.mark.urls("tests.portal.admin.urls")
RULE = {"days": ["0", "4"], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin", "size": "4", "prestarted": "3"}


def address(site) -> str:  # noqa: F811
    return reverse("admin:pools_pool_edit_times", args=[site.pool.pk])


def test_they_are_set_in_rows_and_told_where_they_are_wrong(site):  # noqa: F811
    root = site.client("root")
    assert address(site) in root.get(reverse("admin:pools_pool_change", args=[site.pool.pk])).content.decode()
    assert 'name="schedule-0-start"' in root.get(address(site)).content.decode()
    hours = {name: RULE[name] for name in ("days", "start", "end", "zone")}
    data = {"revision": site.pool.revision, **rows("schedule", RULE), **rows("hours", hours)}
    wrong = root.post(address(site), {**data, "schedule-0-zone": "Mars/Olympus"})
    assert wrong.status_code == 400 and "There is no such time zone." in wrong.content.decode()
    assert root.post(address(site), {**data, "hours-0-start": "late"}).status_code == 400
    site.pool.refresh_from_db()
    assert (site.pool.schedule, site.pool.hours) == ([], [])
    assert root.post(address(site), data).status_code == 302
    site.pool.refresh_from_db()
    window = {"days": [0, 4], "start": "07:00", "end": "18:00", "zone": "Europe/Berlin"}
    assert site.pool.schedule == [{**window, "size": 4, "prestarted": 3, "suspended": None}]
    assert site.pool.hours == [window]
    shown = root.get(address(site)).content.decode()
    assert 'value="07:00"' in shown and 'list="zones"' in shown
    assert root.post(address(site), data).status_code == 400, "somebody, oneself even, was faster"


def test_others_do_not_get_there(site):  # noqa: F811
    site.world.grant(site.world.bob, "auditor")
    for name in ("bob", "alice"):
        assert site.client(name).get(address(site)).status_code in (302, 403, 404), name
        site.client(name).post(address(site), {"revision": 0, **rows("schedule", RULE), **rows("hours")})
    assert Client().get(address(site)).status_code == 302
    site.pool.refresh_from_db()
    assert site.pool.schedule == []
