"""The search field offers what can be typed next, by keyboard alone; it and the choice of columns are accessible."""

import pytest
from django.urls import reverse

from broker.virt.models import SavedSearch

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_searching_by_keyboard(site, visit, theme, phone):
    SavedSearch.objects.create(owner=site.world.root, name="Busy ones", text="cpu>50", shared=True)
    page = visit("root", reverse("portal:vms"), theme=theme, phone=phone)
    page.focus("#q")
    page.keyboard.type("status=")
    page.wait_for_selector("#completions:not([hidden]) li")
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#q[aria-activedescendant='completion-0']")
    page.keyboard.press("Enter")
    page.locator("tbody tr").nth(3).wait_for(state="detached")  # the one that is off
    assert page.input_value("#q").strip() == "status=up"
    page.locator("details.fold summary").nth(1).click()
    page.wait_for_selector("#column-owner")
    page.evaluate("document.dispatchEvent(new CustomEvent('berth:refresh'))")
    page.evaluate("new Promise((done) => document.addEventListener('berth:refreshed', done, { once: true }))")
    assert page.locator("#column-owner").is_visible(), "the live page closed it"
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
