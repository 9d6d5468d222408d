"""A browser set to German is spoken to in German; the language is chosen by keyboard, and the choice stays."""

import pytest
from django.urls import reverse

from tests.portal.web.test_access import pages_of

from .test_pages import violations

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


def heading(page) -> str:
    return page.locator("h1").first.inner_text()


def language(page) -> str:
    return page.evaluate("document.documentElement.lang")


def sign_in(page) -> None:
    page.fill("#id_username", "alice")
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".desktop-card, .main-nav")


def test_who_signs_in_with_a_german_browser_reads_german_until_they_choose_otherwise(site, visit):
    site.world.alice.set_password(PASSWORD)
    site.world.alice.save()
    page = visit("", "/", locale="de-DE")
    assert (language(page), heading(page)) == ("de", "Bei Berth anmelden")
    assert violations(page) == []
    sign_in(page)
    page.goto("/account/")
    assert (language(page), heading(page)) == ("de", "Mein Konto")
    english = page.locator("main .languages button[lang=en]")
    assert page.locator("main .languages button[lang=de]").get_attribute("aria-current") == "true"
    english.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[lang=en]")
    assert heading(page) == "My account" and page.url.endswith("/account/")
    for address in ("/", "/activity/"):
        page.goto(address)
        assert language(page) == "en"
    page.goto("about:blank")  # a page that asks for news meanwhile would lead to the door by itself
    page.context.clear_cookies()
    page.goto("/")
    assert language(page) == "de"
    sign_in(page)
    page.goto("/")
    assert language(page) == "en", "the choice did not come along"


def test_the_sign_in_page_changes_its_language_by_keyboard(visit):
    page = visit("", "/")
    assert heading(page) == "Sign in to Berth"
    page.locator(".languages button[lang=de]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[lang=de]")
    assert heading(page) == "Bei Berth anmelden"
    page.reload()
    assert heading(page) == "Bei Berth anmelden"


def test_scripts_and_live_parts_speak_german_too(site, visit):
    page = visit("alice", "/", locale="de-DE")
    assert "unreachable" in page.evaluate("document.getElementById('texts').textContent")
    assert "Berth hat nicht geantwortet." in page.evaluate(
        "JSON.parse(document.getElementById('texts').textContent).unreachable"
    )
    page.goto("/activity/")
    told = page.locator("time[data-ago]").first
    if told.count():
        page.wait_for_function("/^vor |jetzt|gestern/.test(document.querySelector('time[data-ago]').textContent)")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_german_pages_fit_a_phone_and_are_accessible_there(site, visit, theme):
    page = visit("root", "/", theme=theme, phone=True, locale="de-DE")
    addresses = [
        reverse(f"portal:{name}") for name in ("home", "account", "dashboard", "vms", "hosts", "pools", "vm-new")
    ]
    addresses += [reverse(f"portal:{name}", args=[pk]) for name, pk in pages_of(site).items()]
    wide = []
    for address in addresses:
        page.goto(address)
        assert language(page) == "de"
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            wide.append(address)
        assert violations(page) == [], address
    assert wide == []
