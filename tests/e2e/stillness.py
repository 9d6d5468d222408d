"""How long a person saw a picture that stood still, measured in their page while the guest writes again and again."""

import contextlib
import time
from collections.abc import Iterator

from tests.e2e.people import Person

MOST = 2000.0
"""Milliseconds that a break of the console may last for who looks at it."""
_TICKS = "while :; do date; sleep 0.2; done\n"
# What is shown is looked at in every frame, in small: a line more moves all of the text. While the last picture stands
# in for the screen (.still) nothing has changed. `longest` is the longest time between two changes so far.
_WATCH = """() => {
  const small = document.createElement("canvas");
  small.width = 96; small.height = 60;
  const context = small.getContext("2d", { willReadFrequently: true });
  const seen = window.seen = { longest: 0, changes: 0, gone: 0, looked: 0, stills: 0 };
  let last = "", changed = performance.now(), still = false;
  const look = () => {
    const canvas = document.querySelector("#stage canvas"), kept = document.querySelector(".still");
    seen.looked += 1;
    if (!canvas && !kept) seen.gone += 1;
    if (kept && !still) seen.stills += 1;
    still = Boolean(kept);
    if (canvas?.width && !kept) {
      context.drawImage(canvas, 0, 0, 96, 60);
      const now = context.getImageData(0, 0, 96, 60).data.join();
      if (now !== last) {
        last = now; seen.changes += 1;
        changed = performance.now();
      }
    }
    seen.longest = Math.max(seen.longest, performance.now() - changed);
    requestAnimationFrame(look);
  };
  look();
}"""


class Watching:
    """What the page has seen since the watch began."""

    def __init__(self, person: Person):
        self._person = person

    def seen(self) -> dict[str, float]:
        return self._person.page.evaluate("({...window.seen})")

    def begin_again(self) -> None:
        self._person.page.evaluate(
            "Object.assign(window.seen, {longest: 0, changes: 0, gone: 0, looked: 0, stills: 0})"
        )

    def moves(self, seconds: float = 60) -> None:
        """Wait until the picture has changed some times more."""
        before, deadline = self.seen()["changes"], time.monotonic() + seconds
        while self.seen()["changes"] < before + 5:
            assert time.monotonic() < deadline, self._person.evidence()
            time.sleep(0.2)


@contextlib.contextmanager
def watched(person: Person) -> Iterator[Watching]:
    """While it lasts the guest, which waits for commands, writes the time again and again."""
    person.type(_TICKS)
    person.page.evaluate(_WATCH)
    watching = Watching(person)
    watching.moves()
    watching.begin_again()
    yield watching
    person.page.locator("#stage canvas").click()
    person.page.keyboard.down("Control")
    person.page.keyboard.press("KeyC", delay=15)
    person.page.keyboard.up("Control")
