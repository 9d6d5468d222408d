"""A change shows without a reload, within a second, and nobody hears of what is not theirs."""

import re
import time

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from broker.events.news import publish
from broker.virt.models import VirtualMachine

pytestmark = pytest.mark.browser
LISTENING = "html[data-live-socket=open]"


def change(vm, **values) -> None:
    """Write it as the monitor does, and tell."""
    VirtualMachine.objects.filter(pk=vm.pk).update(**values)
    publish("vm", vm.pk, "power")


def test_a_stopped_machine_shows_within_a_second(site, visit):
    page = visit("alice", "/")
    page.wait_for_selector(LISTENING)
    page.evaluate("window.same = true")
    page.fill("[data-search]", "d")
    started = time.monotonic()
    change(site.desktop, power_state="off")
    page.wait_for_selector(f"#card-vm-{site.desktop.pk} .pill.idle", timeout=5000)
    assert time.monotonic() - started < 1
    assert page.evaluate("window.same") is True
    assert page.evaluate("document.activeElement.id") == "q"


def test_an_open_menu_stays_open_while_the_page_changes(site, visit):
    page = visit("alice", "/")
    page.wait_for_selector(LISTENING)
    page.locator(f"#menu-vm-{site.desktop.pk} > button").click()
    change(site.desktop, power_state="paused")
    page.wait_for_selector(f"#card-vm-{site.desktop.pk} .pill.warn", timeout=5000)
    assert page.locator(f"#menu-vm-{site.desktop.pk} .dropdown-menu.show").count() == 1


def test_strangers_hear_nothing(site, visit):
    page = visit("charlie", "/")
    page.evaluate(
        "window.news = []; document.addEventListener('berth:news', (event) => window.news.push(event.detail))"
    )
    page.wait_for_selector(LISTENING)
    change(site.desktop, power_state="off")
    site.world.grant(site.world.charlie, "vm-user", site.granted)
    page.wait_for_timeout(700)
    assert page.evaluate("window.news") == []


def test_an_action_is_confirmed_done_and_told(site, visit):
    page = visit("alice", "/")
    page.locator(f"#menu-vm-{site.desktop.pk} > button").click()
    page.get_by_role("button", name="Power off").click()
    dialog = page.locator("#confirm[open]")
    dialog.wait_for()
    dialog.get_by_role("button", name="Power off").click()
    page.wait_for_selector(".toast-note.good")
    page.wait_for_selector(f"#card-vm-{site.desktop.pk} progress")


def test_signing_out_elsewhere_leads_to_the_door(site, visit, monkeypatch):
    from django.contrib.sessions.models import Session

    from portal.live import consumer

    monkeypatch.setattr(consumer, "CHECK_EVERY", 0.2)
    page = visit("alice", "/")
    page.wait_for_selector(LISTENING)
    Session.objects.all().delete()
    expect(page).to_have_url(re.compile(re.escape(reverse("portal:sign-in"))), timeout=10_000)


def test_a_form_keeps_its_refusal_what_was_unfolded_and_rows_that_were_added(site, visit):
    page = visit("root", reverse("portal:vm-new"))
    page.wait_for_selector(LISTENING)
    first_start = page.locator("summary", has_text="First start")
    first_start.click()
    page.get_by_role("button", name="One more user").click()
    assert page.evaluate("document.activeElement.name") == "users-1-name"
    added = page.locator("[name=users-1-full_name]")
    added.fill("Bob")
    page.fill("[name=name]", "web")
    page.wait_for_timeout(1000)  # far longer than a page waits before it asks for itself anew
    assert page.input_value("[name=users-TOTAL_FORMS]") == "2"
    expect(added).to_have_value("Bob")
    expect(added).to_be_visible()
    page.get_by_role("button", name="Make the machine").click()
    refusal = page.locator(".notice.bad[role=alert]")
    expect(refusal).to_be_visible()
    page.wait_for_selector(LISTENING)
    page.wait_for_timeout(1000)
    expect(refusal).to_be_visible()
    expect(added).to_have_value("Bob")
    expect(added).to_be_visible()
