"""Remote Viewer on a screen of its own: what somebody with the program on their computer sees and types."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests.e2e.people import difference

SIZE = "1024x768"


class Viewer:
    """The program that opened a .vv file. `display` is the X server it draws on."""

    def __init__(self, display: str, process: subprocess.Popen, log: Path):
        self.display, self.process, self.log = display, process, log

    def picture(self) -> Image.Image:
        """The whole X screen."""
        shot = self._run("import", "-window", "root", "ppm:-")
        path = self.log.with_suffix(".ppm")
        path.write_bytes(shot)
        return Image.open(path).convert("RGB")

    def shows(self, guest: Image.Image) -> bool:
        """Whether the guest's screen is somewhere on this one."""
        return any(
            difference(here.crop((x, y, x + guest.width, y + guest.height)), guest) < 0.01
            for here in [self.picture()]
            for x, y in _places(here, guest)
        )

    def type(self, text: str) -> None:
        (window, *_) = self._run("xdotool", "search", "--onlyvisible", "--class", "remote-viewer").split()
        self._run("xdotool", "windowfocus", window, "mousemove", "--window", window, "300", "300", "click", "1")
        self._run("xdotool", "type", "--delay", "60", text)
        self._run("xdotool", "key", "Return")

    def peers(self) -> set[str]:
        """Where the program's connections lead, as `ss` says."""
        told = subprocess.run(["ss", "-Htnp", "state", "established"], capture_output=True, text=True, check=True)
        mine = [line.split() for line in told.stdout.splitlines() if f"pid={self.process.pid}," in line]
        return {words[3] for words in mine}

    def refuses(self) -> bool:
        """Whether it says that the other end is not who it should be."""
        return "verif" in self.log.read_text()

    def _run(self, *words: str) -> bytes:
        done = subprocess.run(words, env=_environment(self.display), capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}\n{self.log.read_text()}"
        return done.stdout


@contextlib.contextmanager
def opened(file: Path, folder: Path) -> Iterator[Viewer]:
    """Remote Viewer with `file`, on an X server that is there for it alone."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with contextlib.ExitStack() as stack:
        stack.callback(_end, server)
        with os.fdopen(read) as told:
            display = f":{told.readline().strip()}"
        log = folder / "remote-viewer.log"
        with log.open("wb") as out:
            program = subprocess.Popen(
                ["remote-viewer", "--debug", str(file)], env=_environment(display, folder), stdout=out, stderr=out
            )
        stack.callback(_end, program)
        yield Viewer(display, program, log)


def listening() -> dict[str, str]:
    """Address → program of every TCP port that is open here, as `ss` says."""
    told = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    return {words[3]: words[-1] for words in (line.split() for line in told.splitlines())}


def _environment(display: str, home: Path | None = None) -> dict[str, str]:
    own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)} if home else {}
    bare = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**bare, **own, "DISPLAY": display, "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory"}


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _places(screen: Image.Image, part: Image.Image) -> Iterator[tuple[int, int]]:
    """Where on `screen` the most varied row of `part` is found."""
    rows = [part.crop((0, y, part.width, y + 1)).tobytes() for y in range(part.height)]
    marked = max(range(part.height), key=lambda y: sum(a != b for a, b in zip(rows[y], rows[y][3:], strict=False)))
    for y in range(screen.height):
        at = screen.crop((0, y, screen.width, y + 1)).tobytes().find(rows[marked])
        if at >= 0 and at % 3 == 0:
            yield at // 3, y - marked
