"""The second step of signing in, by the keyboard alone and on a phone, in light and dark."""

import pytest
from django.urls import reverse

from broker.directories.models import Directory
from tests.directories.codes import Phone, stopped_clock  # noqa: F401 - a fixture
from tests.world import PASSWORD

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_set_up_at_the_door_and_asked_the_next_time(site, visit, at, theme):
    site.world.charlie.set_password(PASSWORD)
    site.world.charlie.save()
    Directory.objects.update(second_factor=True)
    page = visit("", reverse("portal:sign-in"), theme=theme, phone=True)

    def fits() -> None:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"

    def password() -> None:
        page.keyboard.type("charlie")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")

    password()
    page.wait_for_selector(".code-picture svg")
    phone = Phone(page.inner_text("#secret").replace(" ", ""))
    fits()
    page.focus("#id_code")
    page.keyboard.type(phone.code())
    page.keyboard.press("Enter")
    page.wait_for_selector("#codes")
    fits()
    page.goto("about:blank")  # a page that asks for news meanwhile would lead to the door by itself
    page.context.clear_cookies()
    page.goto(reverse("portal:sign-in"))
    page.wait_for_selector("#id_username:focus")
    password()
    page.wait_for_selector("#id_code:focus")
    page.keyboard.type(phone.wrong())
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    fits()
    page.wait_for_selector("#id_code:focus")
    page.keyboard.type(phone.code(1))
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    page.wait_for_selector(".main-nav")
