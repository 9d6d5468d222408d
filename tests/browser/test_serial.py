"""The page of a serial line: what the guest writes is text, who types is said, taking over asks first."""

import pytest
from django.urls import reverse

from broker.virt.models import VirtualMachine
from broker.virt.serial import wire

from .test_pages import violations

pytestmark = pytest.mark.browser
EVIL = (
    b"plain \xc3\xa9 \x1b[31mred\x1b[0m <img src=x onerror=document.title='owned'>\r\n"
    b"\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b]8;;javascript:document.title='owned'\x07link\x1b]8;;\x07\r\n"
)


def line(**status) -> bytes:
    return wire.frame(wire.DATA, EVIL) + wire.status(**status)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_is_read_typed_on_and_taken_over(site, visit, gateway, theme):
    """S16: markup and control codes of a guest's line."""
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state="running")
    gateway.line = line(writer="bob", mine=False, may=True, readers=2)
    address = reverse("portal:serial", args=[site.desktop.pk])
    page = visit("root", address, theme=theme)
    page.wait_for_selector("body[data-phase=open]")
    rows = page.locator(".xterm-rows")
    page.locator(".xterm-rows", has_text="link").wait_for()
    assert "plain é red <img src=x onerror=document.title='owned'>" in rows.text_content()
    assert "bob types" in page.locator("[data-state]").text_content()
    rows.get_by_text("link").first.click(force=True)
    page.keyboard.type("unheard")
    page.get_by_role("button", name="Type here").click()
    page.get_by_role("button", name="Take it over").click()
    page.locator("#take-over").wait_for(state="hidden")
    page.wait_for_timeout(200)
    assert gateway.typed == [(wire.TAKE, b"")]
    assert page.title().endswith("Berth") and "owned" not in page.title()
    assert page.locator("#terminal img").count() == 0
    assert violations(page) == []


def test_who_has_the_line_types(site, visit, gateway):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state="running")
    gateway.line = line(writer="root", mine=True, may=True, readers=1)
    page = visit("root", reverse("portal:serial", args=[site.desktop.pk]), phone=True)
    page.wait_for_selector("body[data-phase=open]")
    assert page.locator("[data-state]").text_content() == "You type."
    page.keyboard.type("A_é")
    page.locator(".xterm-rows", has_text="A_é").wait_for()
    assert b"".join(payload for _kind, payload in gateway.typed).decode() == "A_é"


def test_what_was_written_stays_while_the_line_comes_back(site, visit, gateway):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state="running")
    gateway.line = wire.frame(wire.DATA, b"first login: ") + wire.status(writer="root", mine=True, may=True, readers=1)
    page = visit("root", reverse("portal:serial", args=[site.desktop.pk]))
    text = page.locator(".xterm-rows", has_text="first login:")
    text.wait_for()
    page.wait_for_selector("body[data-phase=open]")
    page.route("**/*ticket*", lambda route: route.abort())
    gateway.close_all(1012)
    page.wait_for_selector("body[data-phase=waiting]")
    assert text.is_visible()
    page.keyboard.type("lost")
    page.wait_for_timeout(200)
    assert not gateway.typed and "lost" not in text.text_content()
    gateway.line = wire.frame(wire.DATA, b"second login: ") + wire.status(writer="", mine=False, may=True, readers=1)
    page.unroute_all()
    page.locator(".xterm-rows", has_text="second login:").wait_for(timeout=40_000)
    assert "first" not in page.locator(".xterm-rows").text_content()
