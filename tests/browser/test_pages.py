"""axe-core finds nothing, in light and dark, on a desk and on a phone; no page breaks its own security policy."""

from pathlib import Path

import pytest
from django.urls import reverse

from tests.portal.web.test_access import pages_of

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()


def violations(page) -> list[str]:
    """What axe-core finds, one line each."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:4]]}" for one in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible(site, visit, theme):
    addresses = [
        reverse(f"portal:{name}")
        for name in ("home", "activity", "account", "dashboard", "vms", "pools", "hosts", "jobs", "events")
    ]
    more = ("pool-new", "meta-pools", "meta-pool-new", "vm-new", "second-factor")
    addresses += [reverse(f"portal:{name}") for name in more] + ["/nowhere"]
    addresses += [reverse(f"portal:{name}", args=[pk]) for name, pk in pages_of(site).items()]
    page = visit("root", "/", theme=theme)
    for address in addresses:
        page.goto(address)
        assert violations(page) == [], address
    assert page.evaluate("document.documentElement.dataset.bsTheme") == theme


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_a_phone_and_are_accessible_there(site, visit, theme):
    page = visit("root", "/", theme=theme, phone=True)
    for address in (
        "/",
        reverse("portal:account"),
        reverse("portal:second-factor"),
        reverse("portal:vm", args=[site.desktop.pk]),
        reverse("portal:vms"),
        reverse("portal:dashboard"),
    ):
        page.goto(address)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    bar = page.locator(".main-nav").bounding_box()
    assert bar["y"] + bar["height"] == pytest.approx(844, abs=1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_door_is_accessible(visit, theme):
    page = visit("", reverse("portal:sign-in"), theme=theme)
    assert violations(page) == []
    page.fill("#id_username", "alice")
    page.fill("#id_password", "wrong")
    page.click("button.btn-primary")
    page.wait_for_selector("[role=alert]")
    assert violations(page) == []


def test_an_open_menu_is_accessible_and_closes_by_escape(site, visit):
    page = visit("alice", "/")
    button = page.locator(f"#menu-vm-{site.desktop.pk} > button")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#menu-vm-{site.desktop.pk} .dropdown-menu.show")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.wait_for_selector(f"#menu-vm-{site.desktop.pk} .dropdown-menu:not(.show)", state="attached")


def test_the_theme_can_be_chosen_and_stays(visit):
    page = visit("alice", "/", theme="light")
    page.locator(".topbar [data-theme-toggle]").first.click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
