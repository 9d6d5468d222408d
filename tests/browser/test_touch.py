"""The console page under fingers, by keyboard alone, and without colours of its own."""

import pytest
from django.urls import reverse

from broker.virt.models import VirtualMachine

from .test_console import CONSOLES, OPEN
from .test_pages import violations
from .test_versions import shoot

pytestmark = pytest.mark.browser
LEFT, RIGHT, UP, DOWN = 1, 4, 8, 16
BACKSPACE, RETURN, SHIFT = 0xFF08, 0xFF0D, 0xFFE1


@pytest.fixture
def address(site):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=CONSOLES)
    return reverse("portal:console", args=[site.desktop.pk])


class Fingers:
    """Fingers on the page, by the browser's own protocol."""

    def __init__(self, page):
        self._page, self._line = page, page.context.new_cdp_session(page)

    def _touch(self, kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def tap(self, x: float, y: float) -> None:
        self._touch("touchStart", (x, y))
        self._touch("touchEnd")

    def press_long(self, x: float, y: float) -> None:
        self._touch("touchStart", (x, y))
        self._page.wait_for_timeout(1300)
        self._touch("touchEnd")

    def drag_two(self, x: float, y: float, by: float) -> None:
        self._touch("touchStart", (x, y))
        self._touch("touchStart", (x, y), (x + 60, y))
        for step in range(1, 11):
            self._touch("touchMove", (x, y + by * step / 10), (x + 60, y + by * step / 10))
            self._page.wait_for_timeout(30)
        self._touch("touchEnd")


def told(page, notes, wanted, seconds: float = 10):
    """Wait until `wanted` of what the gateway noted is true."""
    for _ in range(int(seconds * 10)):
        if wanted(notes):
            return
        page.wait_for_timeout(100)
    raise AssertionError(notes)


def test_a_phone(site, visit, gateway, address):
    gateway.shares_clipboard = True
    page = visit("alice", address, phone=True)
    page.wait_for_selector(OPEN)
    fingers, buttons = Fingers(page), lambda notes: {mask for mask, _x, _y in notes}
    middle = (195, 450)
    fingers.tap(*middle)
    told(page, gateway.pointers, lambda notes: LEFT in buttons(notes) and notes[-1][0] == 0)
    _mask, x, y = gateway.pointers[-1]
    assert abs(x - 32) <= 2 and 20 <= y <= 28, "where the finger was"
    gateway.pointers.clear()
    fingers.press_long(*middle)
    told(page, gateway.pointers, lambda notes: RIGHT in buttons(notes) and notes[-1][0] == 0)
    assert LEFT not in buttons(gateway.pointers)
    for by, button in ((-180, DOWN), (180, UP)):
        gateway.pointers.clear()
        fingers.drag_two(150, 450, by)
        told(page, gateway.pointers, lambda notes, button=button: button in buttons(notes))
        assert LEFT not in buttons(gateway.pointers)

    # The on-screen keyboard: words that are composed, corrected and replaced arrive as they stand at last.
    page.locator("[data-toolbar-handle]").tap()
    page.locator("[data-touch-keyboard]").tap()
    assert page.evaluate("document.activeElement.id") == "touch-keyboard"
    line = page.context.new_cdp_session(page)
    for so_far in ("H", "He", "Hel"):
        line.send(
            "Input.imeSetComposition", {"text": so_far, "selectionStart": len(so_far), "selectionEnd": len(so_far)}
        )
    line.send("Input.insertText", {"text": "Help"})  # the word that the keyboard suggested
    page.keyboard.insert_text("é ")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    told(page, gateway.keys, lambda keys: (RETURN, True) in keys)
    typed = ""
    for key in (key for key, down in gateway.keys if down and key != SHIFT):
        typed = typed[:-1] if key == BACKSPACE else typed + chr(key)
    assert typed == "Helpé" + chr(RETURN), gateway.keys

    # What is pasted arrives as it was copied: no second line ends, no NUL.
    page.get_by_role("button", name="Clipboard", exact=True).tap()
    page.fill("#clipboard-text", "grüße\nzwei")
    page.get_by_role("button", name="Send to the desktop").tap()
    told(page, gateway.pasted, lambda texts: texts == ["grüße\nzwei".encode()])
    shoot(page, "console-phone")
    for button in page.locator("#toolbar > :visible").all():
        place = button.bounding_box()
        assert place["x"] >= 0 and place["x"] + place["width"] <= 390, "all of the toolbar can be reached"
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_by_keyboard_alone_and_in_forced_colours(site, visit, gateway, address):
    page = visit("alice", address, theme="dark")
    page.wait_for_selector(OPEN)
    page.emulate_media(forced_colors="active")
    page.keyboard.press("Control+Alt+Shift+M")
    seen = []
    for _ in range(30):
        name = page.evaluate("document.activeElement.getAttribute('aria-label') || ''")
        inside = page.evaluate("document.getElementById('toolbar').contains(document.activeElement)")
        if not inside:
            break
        seen.append(name)
        if page.evaluate("document.activeElement.dataset.bsToggle") == "dropdown":
            page.keyboard.press("Enter")
            menu = page.locator("#toolbar .dropdown-menu.show")
            menu.wait_for()
            if name == "Keys":
                shoot(page, "console-forced")
            page.keyboard.press("Escape")
            menu.wait_for(state="detached") if menu.count() == 0 else menu.wait_for(state="hidden")
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == name, "focus stays with it"
        page.keyboard.press("Tab")
    assert {"Full screen", "Keys", "Clipboard", "Picture", "Save a picture of the screen", "Help", "Disconnect"} <= {
        *seen
    }
    held = {0xFFE1, 0xFFE3, 0xFFE9}  # the way to the toolbar: Shift, Ctrl and Alt
    assert {key for key, _down in gateway.keys} <= held, "nothing of it was typed into the desktop"
    assert {key: down for key, down in gateway.keys} == dict.fromkeys(held, False), "and they are let go"

    # What is held down or on is seen without a colour.
    page.keyboard.press("Control+Alt+Shift+M")
    page.get_by_role("button", name="Keys", exact=True).press("Enter")
    hold = page.locator("[data-hold=Ctrl]")
    hold.focus()
    before = hold.evaluate("button => getComputedStyle(button).textDecorationLine")
    page.keyboard.press("Space")
    assert hold.get_attribute("aria-pressed") == "true"
    assert hold.evaluate("button => getComputedStyle(button).textDecorationLine") != before
    assert violations(page) == []
