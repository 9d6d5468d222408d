"""Sessions in the pages: countdowns, one device at a time, consent, links, messages, the live list, groups."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from broker.connections.actions import ask_help, end_session, set_console_policy
from broker.connections.models import Help, Message, Session, Share
from broker.connections.secrets import fingerprint
from broker.core import clock
from broker.events.news import publish
from broker.virt.models import VirtualMachine
from pools.actions.set_session_rules import set_session_rules
from pools.models import Desktop, Sitting

from .test_console import CONSOLES, ENDED, OPEN
from .test_pages import violations

pytestmark = pytest.mark.browser
STRIP = "#strip .strip-note"


@pytest.fixture
def address(site):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=CONSOLES)
    return reverse("portal:console", args=[site.desktop.pk])


def at_the_screen(site, page=None, **values) -> Session:
    """A session as a gateway would have opened it; with `page` by that browser's sign-in."""
    key = ""
    if page is not None:
        key = next(one["value"] for one in page.context.cookies() if one["name"] == "sessionid")
    return Session.objects.create(
        user=values.pop("user", site.world.alice), vm=site.desktop, gateway="g1", web_session=fingerprint(key), **values
    )


def tell(site) -> None:
    publish("vm", site.desktop.pk, "console")


def test_a_second_device_asks_and_the_first_can_take_it_back(site, visit, gateway, address):
    other = visit("alice", "/")
    first = at_the_screen(site, other, address="192.0.2.5")
    page = visit("alice", address)
    page.wait_for_selector(ENDED)
    assert "open on another device since" in page.inner_text("#curtain [data-title]")
    assert violations(page) == []
    page.get_by_role("button", name="Take it over").click()
    page.wait_for_selector(OPEN)
    assert len(gateway.tickets) == 1
    # What the gateway does when the ticket is redeemed: the other device is told, and may take it back.
    gateway.refuse_with = 4409
    end_session(actor=site.world.actor("alice"), session=first, reason="replaced")
    other.goto(address)
    again = other
    again.wait_for_selector(ENDED)
    assert "another device" in again.inner_text("#curtain [data-title]")
    assert again.get_by_role("button", name="Take it back").is_visible()
    assert violations(again) == []
    # The machine goes off and comes up: the screen stays with who has it until somebody presses here.
    gateway.refuse_with, asked = None, len(gateway.tickets)
    for state, is_ready in (("off", "no"), ("running", "yes")):
        VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state=state)
        publish("vm", site.desktop.pk, "power")
        again.wait_for_selector(f"#live[data-ready='{is_ready}']", state="attached")
    again.wait_for_timeout(1000)
    assert (len(gateway.tickets), again.locator(ENDED).count()) == (asked, 1)


def test_the_countdown_survives_a_reload_and_one_click_extends(site, visit, gateway, address):
    set_session_rules(
        actor=site.world.actor("root"), pool=site.pool, longest=3600, longest_do="disconnect", warn_before=300,
        extension=1800, extensions=1,
    )  # fmt: skip
    held = clock.now() - timedelta(hours=2)
    Desktop.objects.filter(pk=site.desktop.pk).update(held_since=held)
    desktop = Desktop.objects.get(pk=site.desktop.pk)
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    at_the_screen(site, page, opened_at=clock.now() - timedelta(minutes=56))
    Sitting.objects.create(desktop=desktop, held_since=desktop.held_since, began_at=clock.now() - timedelta(minutes=56))
    tell(site)
    page.wait_for_selector(f"{STRIP}[data-kind=longest]")
    assert re.search(r"Your session ends in (4:00|3:\d\d)", page.inner_text(STRIP))
    page.reload()
    page.wait_for_selector(f"{STRIP}[data-kind=longest]")
    assert re.search(r"Your session ends in (4:00|3:\d\d)", page.inner_text(STRIP))
    assert violations(page) == []
    page.get_by_role("button", name="Stay longer").click()
    page.wait_for_selector(f"{STRIP}[data-kind=longest]", state="detached")
    assert Sitting.objects.get().extended == 1800


def test_nobody_looks_on_before_it_is_allowed_and_one_click_ends_it(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    session = at_the_screen(site, page)
    helper = visit("root", reverse("portal:sessions"))
    helper.wait_for_selector(f"#row-{session.pk}")
    assert violations(helper) == []
    helper.get_by_role("button", name="Actions for desk-1 of Alice").click()
    helper.get_by_role("button", name="Look on").click()
    helper.locator("#confirm [data-yes]").click()
    helper.wait_for_selector("body[data-phase=asking-person]")
    assert len(gateway.tickets) == 1, "no ticket without the answer"
    assert violations(helper) == []
    page.wait_for_selector(f"{STRIP}[data-kind=help]")
    assert "root asks to look at your screen" in page.inner_text(STRIP)
    assert violations(page) == []
    page.get_by_role("button", name="Allow").click()
    helper.wait_for_selector(OPEN)
    assert helper.locator("#view-only").is_visible()
    watching = at_the_screen(
        site, user=site.world.root, purpose="look", view_only=True, help=Help.objects.get(), opened_at=clock.now()
    )
    tell(site)
    page.wait_for_selector(f"{STRIP}[data-kind=guest]")
    assert "root sees your screen" in page.inner_text(STRIP)
    page.wait_for_selector("body[data-watched=yes]")
    page.get_by_role("button", name="End it").click()
    helper.wait_for_selector(ENDED)
    watching.refresh_from_db()
    assert (watching.state, watching.close_reason) == ("ending", "consent-ended")


def test_a_refusal_is_told(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    help = ask_help(actor=site.world.actor("root"), session=at_the_screen(site, page), level="help")
    helper = visit("root", f"{address}?help={help.pk}")
    helper.wait_for_selector("body[data-phase=asking-person]")
    page.get_by_role("button", name="Refuse").click()
    helper.wait_for_selector(ENDED)
    assert "refused" in helper.inner_text("#curtain")
    assert len(gateway.tickets) == 1


def test_a_link_is_made_followed_and_ended(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    page.wait_for_selector("[data-share-made]:not([hidden])")
    assert violations(page) == []
    link = page.input_value("#share-link")
    address_part, _hash, secret = link.partition("#")
    assert len(secret) >= 43 and secret not in address_part
    guest = visit("bob", "/")
    asked = []
    guest.on("request", lambda request: asked.append(request.url))
    guest.goto(link)
    guest.wait_for_url("**/shared/*-*/")
    guest.wait_for_selector(OPEN)
    assert guest.locator("#view-only").is_visible()
    assert not any(secret in url for url in asked) and secret not in guest.url
    assert violations(guest) == []
    gateway.refuse_with = 4418
    page.locator("[data-share-list]").get_by_role("button", name="End it").click()
    page.wait_for_selector("[data-share-list] li", state="detached")
    assert Share.objects.get().ended_at is not None
    guest.reload()
    assert "There is no such object" in guest.inner_text("main")


def test_a_link_survives_the_sign_in(site, visit, settings):
    from broker.connections.actions import create_share
    from tests.world import PASSWORD

    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=CONSOLES)
    world = site.world
    world.bob.set_password(PASSWORD)
    world.bob.save()
    secret = create_share(actor=world.actor("alice"), vm=site.desktop).secret
    page = visit("", f"/shared/#{secret}")
    page.wait_for_selector("#shared-says")
    assert secret not in page.url and violations(page) == []
    page.get_by_role("link", name="Sign in").click()
    page.fill("#id_username", "bob")
    page.fill("#id_password", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/shared/*-*/")
    assert Share.objects.get().guests.get() == world.bob


def test_somebody_without_an_account_looks_in_and_is_out_when_it_ends(site, visit, gateway, address):
    world = site.world
    set_console_policy(actor=world.actor("root"), obj=site.pool, guests=True)
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.get_by_role("button", name="Share").click()
    page.get_by_label("Also for people without an account").check()
    page.get_by_role("button", name="Make a link").click()
    page.wait_for_selector("[data-share-made]:not([hidden])")
    assert violations(page) == []
    guest = visit("", page.input_value("#share-link"))
    guest.fill("#guest-name", "Maria")
    assert violations(guest) == []
    guest.get_by_role("button", name="Look in as a guest").click()
    guest.wait_for_url("**/shared/*-*/")
    guest.wait_for_selector(OPEN)
    assert guest.locator("#view-only").is_visible() and violations(guest) == []
    gateway.refuse_with = 4418
    page.locator("[data-share-list]").get_by_role("button", name="End it").click()
    page.wait_for_selector("[data-share-list] li", state="detached")
    guest.reload()
    assert "There is no such object" in guest.inner_text("main")


def test_messages_and_groups(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    session = at_the_screen(site, page)
    admin = visit("root", reverse("portal:sessions"))
    admin.wait_for_selector("html[data-live-socket=open]")
    admin.locator(f"#choose-{session.pk}").check()
    admin.fill("#bulk-text", "Please save your work")
    other = at_the_screen(site, user=site.world.bob, purpose="look")
    publish("session", other.pk, "opened")
    admin.wait_for_selector(f"#row-{other.pk}")
    assert admin.locator(f"#choose-{session.pk}").is_checked(), "what was chosen stays so when the list moves"
    assert admin.input_value("#bulk-text") == "Please save your work"
    admin.get_by_role("button", name="Send a message").click()
    admin.locator("#confirm [data-yes]").click()
    admin.get_by_text("1 of 1 accepted").wait_for()
    page.wait_for_selector(f"{STRIP}[data-kind=message]")
    assert "Please save your work" in page.inner_text(f"{STRIP}[data-kind=message]")
    page.get_by_role("button", name="Got it").click()
    page.wait_for_selector(f"{STRIP}[data-kind=message]", state="detached")
    assert Message.objects.get().read_at is not None


def test_the_live_list_shows_who_comes_without_a_reload(site, visit):
    admin = visit("root", reverse("portal:sessions"))
    admin.wait_for_selector("html[data-live-socket=open]")
    assert "Nobody is at a screen" in admin.inner_text("main")
    assert violations(admin) == []
    session = at_the_screen(site)
    publish("session", session.pk, "opened")
    admin.wait_for_selector(f"#row-{session.pk}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_the_forms_and_lists_are_accessible(site, visit, theme, phone):
    at_the_screen(site)
    set_session_rules(
        actor=site.world.actor("root"), pool=site.pool, idle="lock", idle_after=600, leave="give-back",
        leave_after=1800, kept="your files in D:",
    )  # fmt: skip
    for name, args in (("sessions", []), ("pool-session-rules", [site.pool.pk]), ("pool", [site.pool.pk])):
        page = visit("root", reverse(f"portal:{name}", args=args), theme=theme, phone=phone)
        assert violations(page) == []
        page.close()
