"""The console page: opens, types, comes back by itself, and says why it ended."""

import re

import pytest
from django.urls import reverse
from PIL import Image

from broker.connections.models import ConsolePolicy
from broker.events.news import publish
from broker.gateway.closing import ALL
from broker.virt.models import VirtualMachine

from .test_pages import violations

pytestmark = pytest.mark.browser
OPEN, ENDED = "body[data-phase=open]", "body[data-phase=ended]"
LISTENING = "html[data-live-socket=open]"
CONSOLES = [{"kind": "vnc", "unix": "/run/berth/x.sock", "host": "", "port": 0, "tls": False}]


@pytest.fixture
def address(site):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=CONSOLES)
    return reverse("portal:console", args=[site.desktop.pk])


def test_it_opens_with_a_ticket_that_is_in_no_address(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    assert len(gateway.tickets) == 1 and len(gateway.tickets[0]) >= 40
    assert gateway.tickets[0] not in page.url
    assert page.locator("#curtain").is_hidden()
    pixel = "Array.from(document.querySelector('#stage canvas').getContext('2d').getImageData(5, 5, 1, 1).data)"
    page.wait_for_timeout(300)
    assert page.evaluate(pixel)[:3] == [0x20, 0x80, 0xF0]
    assert violations(page) == []


def test_what_a_machine_says_of_itself_is_text(site, visit, gateway, address):
    """S16: the name of the screen and the guest's clipboard, with markup and control codes."""
    evil = "<img src=x onerror=document.title='owned'>\x1b[31m"
    gateway.name, gateway.cut = evil.encode(), evil.encode()
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.wait_for_function("text => document.querySelector('#clipboard textarea').value === text", arg=evil)
    assert page.evaluate("document.body.dataset.desktop") == evil
    assert page.locator("img[src=x]").count() == 0
    assert "owned" not in page.title()


def test_the_address_names_no_other_host(visit, gateway, address):
    """S15: what noVNC's own page would read from its address."""
    page = visit("alice", address + "?host=evil.example&port=1&path=elsewhere&encrypt=1&autoconnect=1&password=x")
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.reload()
    page.wait_for_selector(OPEN)
    assert sockets and all(url.split("/")[2] == page.url.split("/")[2] for url in sockets), sockets
    assert gateway.tickets


def test_a_script_lost_on_the_way_is_fetched_again(visit, address):
    """As when the browser's network changes while it loads the page: one module is missing, and nothing runs."""
    page = visit("alice", "/")
    lost = []

    def lose(route):
        lost.append(route.request.url)
        if len(lost) <= 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/novnc/core/rfb.js*", lose)
    page.goto(address)
    page.wait_for_selector(OPEN)
    assert len(lost) == 3


def test_what_somebody_typed_is_not_taken_away_by_loading_again(site, visit):
    page = visit("", "/sign-in")
    page.evaluate("sessionStorage.setItem('berth.rescue /sign-in', 3)")  # the next reload is due after 2.4 s
    page.route("**/theme*.js", lambda route: route.abort())
    page.goto("/sign-in")
    page.wait_for_selector("html[data-rescue]")
    page.fill("input[name=username]", "alice")
    page.wait_for_timeout(3200)
    assert page.input_value("input[name=username]") == "alice"


def test_keys_combinations_and_typed_text(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.locator("#stage canvas").click()
    page.keyboard.press("a")
    page.get_by_role("button", name="Keys", exact=True).click()
    page.get_by_role("button", name="Ctrl + Alt + Del").click()
    page.wait_for_timeout(300)
    control, alt, delete = 0xFFE3, 0xFFE9, 0xFFFF
    assert gateway.keys[:2] == [(0x61, True), (0x61, False)]
    assert gateway.keys[2:8] == [
        (control, True), (alt, True), (delete, True), (delete, False), (alt, False), (control, False),
    ]  # fmt: skip
    gateway.keys.clear()
    page.get_by_role("button", name="Clipboard").click()
    page.fill("#clipboard-text", "A b")
    page.get_by_role("button", name="Type it").click()
    page.wait_for_timeout(400)
    shift = 0xFFE1
    typed = [key for key, down in gateway.keys if down]
    assert typed == [shift, ord("A"), ord(" "), ord("b")]


def test_it_comes_back_by_itself_after_the_gateway_restarts(site, visit, gateway, address):
    gateway.drop_after_first_picture = 1012
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    deadline = 50
    while len(gateway.tickets) < 2 and deadline:
        page.wait_for_timeout(100)
        deadline -= 1
    page.wait_for_selector(OPEN)
    assert len(set(gateway.tickets)) == 2


WATCH = """() => {
  window.blank = 0;
  window.frames_seen = 0;
  window.stillFrom = window.stillTo = 0;
  const blue = (canvas) => canvas?.width && canvas.getContext("2d").getImageData(5, 5, 1, 1).data[2] === 0xf0;
  const look = () => {
    window.frames_seen += 1;
    const still = document.querySelector(".still");
    if (!blue(still) && !blue(document.querySelector("#stage canvas"))) window.blank += 1;
    if (still && !window.stillFrom) window.stillFrom = performance.now();
    if (!still && window.stillFrom && !window.stillTo) window.stillTo = performance.now();
    requestAnimationFrame(look);
  };
  look();
}"""


def test_while_the_gateway_restarts_the_picture_stands_still_and_typing_goes_on(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.wait_for_timeout(400)
    page.evaluate(WATCH)
    gateway.close_all(1012)
    page.wait_for_selector(".still", state="attached")
    assert page.locator("#curtain.light").is_visible()
    page.locator(".still").wait_for(state="detached")
    page.wait_for_selector(OPEN)
    seen = page.evaluate("({blank, frames_seen, lasted: stillTo - stillFrom})")
    assert seen["blank"] == 0 and seen["frames_seen"] > 5, seen
    assert seen["lasted"] < 5000, seen
    assert len(set(gateway.tickets)) == 2
    page.locator("#stage canvas").click()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert gateway.keys == [(0x61, True), (0x61, False)]


def test_a_line_that_died_without_a_word_is_noticed_when_somebody_types(site, visit, gateway, address):
    """No packet comes any more and no end either: the browser itself would wait for minutes."""
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.wait_for_timeout(400)
    page.evaluate(WATCH)
    gateway.go_silent()
    page.locator("#stage canvas").click()
    page.keyboard.press("a")
    page.wait_for_function("() => window.stillTo > 0", timeout=60_000)
    page.wait_for_selector(OPEN)
    assert len(set(gateway.tickets)) == 2
    assert page.evaluate("window.blank") == 0
    page.locator("#stage canvas").click()
    page.keyboard.press("b")
    wait_for(page, lambda: (0x62, False) in gateway.keys)
    assert (0x61, True) not in gateway.keys


def test_a_still_picture_on_a_line_that_lives_stays(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    for times in (1, 2):
        page.locator("#stage canvas").click()
        page.keyboard.press("a")
        wait_for(page, lambda times=times: gateway.echoes >= times)
    assert page.locator(OPEN).count() == 1 and len(gateway.tickets) == 1


def test_when_the_network_comes_back_the_line_is_asked_at_once(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    gateway.go_silent()
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_for(page, lambda: len(gateway.tickets) == 2)
    page.wait_for_selector(OPEN)


def test_under_the_cover_no_key_reaches_the_machine_though_the_screen_comes_back(site, visit, gateway, address):
    ConsolePolicy.objects.create(object_kind="vm", object_id=site.desktop.pk, lock_after=2, watermark=True)
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    assert page.locator(".watermark span").first.inner_text() == "alice"
    page.wait_for_selector("#cover:not([hidden])", timeout=60_000)
    gateway.close_all(1012)
    wait_for(page, lambda: len(gateway.tickets) == 2)
    page.wait_for_selector(OPEN)
    page.keyboard.press("a")

    def uncovered_and_typed() -> bool:  # it is covered again in a moment
        if page.locator("#cover").is_visible():
            page.get_by_role("button", name="Show it").click()
        page.keyboard.press("b")
        return (0x62, False) in gateway.keys

    wait_for(page, uncovered_and_typed)
    assert (0x61, True) not in gateway.keys


def wait_for(page, what, seconds=60):
    for _ in range(seconds * 10):
        if what():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not come about")


def test_a_picture_is_saved_and_the_line_is_told_in_words(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.wait_for_selector("body[data-line]")
    assert page.locator("[data-line-word]").inner_text() in ("Line: good", "Line: slow", "Line: bad")
    assert "ms there and back" in page.locator("[data-line-told]").text_content()
    page.wait_for_timeout(400)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save a picture of the screen").click()
    assert re.fullmatch(r"desk-1-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.png", saved.value.suggested_filename)
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (64, 48) and picture.convert("RGB").getpixel((5, 5)) == (0x20, 0x80, 0xF0)


@pytest.mark.parametrize("ending", [one for one in ALL if not one.again and one.code >= 4000], ids=lambda one: one.name)
def test_every_ending_is_told_in_a_sentence(site, visit, gateway, address, ending):
    gateway.refuse_with = ending.code
    page = visit("alice", address)
    page.wait_for_selector(ENDED)
    assert page.locator("#curtain [data-title]").inner_text() == ending.text
    assert page.locator("[data-again]").is_visible()
    assert violations(page) == []


def test_a_machine_that_is_off_can_be_started_from_here(site, visit, gateway, address):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state="off")
    page = visit("alice", address)
    page.wait_for_selector(LISTENING)
    assert violations(page) == []
    page.locator("#live").get_by_role("button", name="Start").click()
    page.wait_for_selector("#live progress")
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(power_state="running")
    publish("vm", site.desktop.pk, "power")
    page.wait_for_selector(OPEN, timeout=5000)


def test_the_toolbar_hides_and_comes_back_by_keyboard(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.locator("#stage canvas").click()
    page.wait_for_selector("#toolbar.away", state="attached", timeout=8000)
    page.keyboard.press("Control+Alt+Shift+M")
    page.wait_for_selector("#toolbar:not(.away)")
    assert page.evaluate("document.getElementById('toolbar').contains(document.activeElement)")


def test_looking_on_sends_nothing(site, visit, gateway, address):
    page = visit("alice", f"{address}?view=only")
    page.wait_for_selector(OPEN)
    assert page.locator("#view-only").is_visible()
    page.locator("#stage canvas").click()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert gateway.keys == []


def test_disconnecting_is_not_followed_by_a_reconnection(site, visit, gateway, address):
    page = visit("alice", address)
    page.wait_for_selector(OPEN)
    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_selector(ENDED)
    page.wait_for_timeout(800)
    assert len(gateway.tickets) == 1
