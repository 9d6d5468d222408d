"""A person at a browser: signs in, connects, types, looks."""

import base64
import io
import re
import time

from PIL import Image, ImageChops
from playwright.sync_api import Error

_SHIFTED = dict(zip('!@#$%^&*()_+{}|:"<>?~', "1234567890-=[]\\;',./`", strict=True))
_CODES = {
    " ": "Space", "-": "Minus", "=": "Equal", "[": "BracketLeft", "]": "BracketRight", ";": "Semicolon", "'": "Quote",
    "`": "Backquote", "\\": "Backslash", ",": "Comma", ".": "Period", "/": "Slash", "\n": "Enter",
}  # fmt: skip
_SCREEN = "#stage canvas"


class Person:
    """One person with a browser of their own."""

    def __init__(self, browser, berth, name: str):
        self.berth, self.name = berth, name
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.said: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("requestfailed", lambda request: self.said.append(f"{request.url}: {request.failure}"))

    def go(self, path: str) -> None:
        """Load a page, again when the network changed meanwhile: each machine that starts adds a network card here."""
        for attempt in range(5):
            try:
                self.page.goto(self.berth.url + path)
                self.page.wait_for_selector("html:not([data-rescue])", state="attached")  # rescue.js loads it again
                return
            except Error as error:
                if "ERR_NETWORK_CHANGED" not in error.message or attempt == 4:
                    raise

    def sign_in(self) -> None:
        for attempt in range(3):
            self.go("/")
            if "sign-in" not in self.page.url:
                return  # the answer was lost, but not the question
            self.page.fill("input[name=username]", self.name)
            self.page.fill("input[name=password]", self.berth.passwords[self.name])
            self.page.keyboard.press("Enter")
            try:
                self.page.wait_for_url(lambda url: "sign-in" not in url, wait_until="commit")
            except Error as error:
                if "ERR_NETWORK_CHANGED" not in error.message or attempt == 2:
                    raise
            if self.page.url.startswith(self.berth.url) and "sign-in" not in self.page.url:
                return

    @property
    def machine(self) -> str:
        """The id of the machine whose page this is."""
        return re.search(r"/vms/([0-9a-f-]{36})/", self.page.url).group(1)

    def wait_for_screen(self, *, seconds: float = 90, elsewhere: bool = False) -> None:
        """Until the console is connected. `elsewhere`: it may be open still on a device that is gone, and is then taken

        over; a question that nobody expects is a fault.
        """
        asked = self.page.get_by_role("button", name="Take it over")
        shown = self.page.locator("body[data-phase=open] " + _SCREEN)
        deadline = time.monotonic() + seconds
        while not shown.is_visible():
            if time.monotonic() > deadline or (asked.is_visible() and not elsewhere):
                raise AssertionError(self.evidence())
            if asked.is_visible():
                asked.click()
            self.page.wait_for_timeout(200)

    def evidence(self) -> str:
        """What the page shows and said, and what the server wrote: for whoever reads a run that failed."""
        body = self.page.evaluate("({...document.body.dataset})")
        shown = self.page.inner_text("body")[:1500]
        return "\n".join([self.page.url, str(body), shown, *self.said[-40:], *self.errors, self.berth.text()[-6000:]])

    def picture(self) -> Image.Image:
        data = self.page.evaluate(f"document.querySelector('{_SCREEN}').toDataURL('image/png')")
        return Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB")

    def type(self, text: str) -> None:
        """Real key presses: noVNC sends scancodes, and keyboard.type() would leave the Shift key out."""
        self.page.locator(_SCREEN).click()
        for character in text:
            shifted = character in _SHIFTED or character.isupper()
            plain = _SHIFTED.get(character, character.lower())
            code = _CODES.get(plain) or (f"Digit{plain}" if plain.isdigit() else f"Key{plain.upper()}")
            if shifted:
                self.page.keyboard.down("Shift")
            self.page.keyboard.press(code, delay=15)
            if shifted:
                self.page.keyboard.up("Shift")
            time.sleep(0.02)

    def close(self) -> None:
        self.context.close()


def difference(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ visibly; 1.0 for another size."""
    if one.size != other.size:
        return 1.0
    bands = ImageChops.difference(one, other).convert("L").point(lambda value: 255 if value > 24 else 0)
    return bands.histogram()[255] / (one.width * one.height)
