"""What `serve` says on the terminal: one line a step, and a share that moves while something takes long."""

import threading
from typing import IO, Any

from broker.core import clock
from broker.settings import env

BAR = 24


class Teller:
    """Writes steps; on a terminal a long one redraws its line, in a log it writes one line each tenth."""

    def __init__(self, out: Any):
        stream: IO[str] = getattr(out, "_out", out)
        self.stream, self.terminal = stream, stream.isatty()
        self.began, self._tenth, self._open = clock.steady(), -1, False

    def step(self, text: str) -> None:
        self._finish_line()
        self.stream.write(f"[{clock.steady() - self.began:5.1f} s] {text}\n")
        self.stream.flush()

    def share(self, share: float, text: str) -> None:
        """`share` from 0 to 1."""
        filled = int(share * BAR)
        line = f"          {'█' * filled}{'░' * (BAR - filled)} {share:4.0%}  {text}"
        if self.terminal:
            self.stream.write(f"\r\x1b[K{line[:110]}")
            self._open = True
        elif int(share * 10) != self._tenth:
            self._tenth = int(share * 10)
            self.stream.write(line + "\n")
        self.stream.flush()

    def box(self, lines: list[str]) -> None:
        """Something that must not be missed."""
        self._finish_line()
        width = max(len(line) for line in lines)
        rule = "─" * (width + 2)
        self.stream.write(f"\n┌{rule}┐\n" + "".join(f"│ {line:<{width}} │\n" for line in lines) + f"└{rule}┘\n\n")
        self.stream.flush()

    def open_here(self, stopping: threading.Event) -> None:
        self.step(f"Open {address()}  (Ctrl-C stops Berth; machines go on)")

    def _finish_line(self) -> None:
        if self._open:
            self.stream.write("\n")
        self._open, self._tenth = False, -1


def address() -> str:
    """Where to point the browser."""
    if env.origins:
        return env.origins[0]
    host, _, port = env.listen.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]', '') else host}:{port}/"  # noqa: S104 - read, not bound
