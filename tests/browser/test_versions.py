"""Template versions and rollouts in Chromium: the pages are accessible, and a user restarts now."""

import os
from pathlib import Path

import pytest
from django.urls import reverse

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt.models import TemplateVersion
from pools.models import Rollout

from .test_pages import violations

pytestmark = pytest.mark.browser
SYSTEM = Actor.system("test")


@pytest.fixture
def rolling(site):
    """The world's pool goes over to a second version; Alice's desktop is still of the first."""
    pool, old = site.pool, site.desktop.template_version
    new = TemplateVersion.objects.create(
        template=old.template, number=old.number + 1, state="ready", storage=old.storage, volume="second.qcow2",
        size_bytes=old.size_bytes, notes="LibreOffice 24.8", made_from="golden",
        sealing={"outcome": "partly", "left": [{"message": "partition %(number)s was not sealed: its contents are "
                                                "%(kind)s", "params": {"number": "3", "kind": "XFS"}}]},
    )  # fmt: skip
    Rollout.objects.create(pool=pool, version=new, previous=old, numbers=[old.number, new.number])
    return site


def shoot(page, name: str) -> None:
    """Keep a picture where BERTH_PICTURES says."""
    if folder := os.environ.get("BERTH_PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_pages_are_accessible(rolling, visit, theme, phone):
    vm, pool = rolling.desktop, rolling.pool
    template = vm.template_version.template
    page = visit("root", "/", theme=theme, phone=phone)
    for name, address in (
        ("pool", reverse("portal:pool", args=[pool.pk])),
        ("template", reverse("portal:template", args=[template.pk])),
        ("make", reverse("portal:version-make", args=[vm.pk])),
        ("notes", reverse("portal:version-notes", args=[vm.template_version_id])),
    ):
        page.goto(address)
        shoot(page, f"{name}-{theme}")
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_a_user_is_told_and_restarts_now(rolling, visit, theme, phone):
    vm = rolling.desktop
    page = visit("alice", "/", theme=theme, phone=phone)
    note = page.locator(f"#card-vm-{vm.pk} .update-note")
    assert "LibreOffice 24.8" in note.inner_text()
    shoot(page, f"card-{theme}")
    assert violations(page) == []
    note.locator("button").click()
    page.wait_for_selector("dialog[open]")
    shoot(page, f"ask-{theme}")
    page.click("dialog[open] [data-yes]")
    page.wait_for_selector(f"#card-vm-{vm.pk} .update-note", state="detached")
    job = Job.objects.get(plan="vm.reset-disks", subject_id=vm.pk)
    assert job.args["version"] == str(Rollout.objects.get().version_id)


def test_the_screen_says_that_an_update_waits(rolling, visit):
    vm = rolling.desktop
    page = visit("alice", reverse("portal:console", args=[vm.pk]))
    page.click("#console-update button")
    page.wait_for_selector("#console-update .dropdown-menu.show")
    shoot(page, "console")
    assert "Restart now" in page.locator("#console-update").inner_text()
    assert violations(page) == []


def test_an_administrator_stops_and_lets_go_on(rolling, visit):
    page = visit("root", reverse("portal:pool", args=[rolling.pool.pk]))
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Go on", exact=True).wait_for()
    assert Rollout.objects.get().state == "paused"
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    assert Rollout.objects.get().state == "running"
