"""Run a tool over something hostile: no rights to gain, little memory, bounded time, bounded talk.

The tool gets the image as an open file, named by `name_of(file)`, and needs no way to the directory it lies in: where
we are root, it runs as nobody.
"""

import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from broker.core import clock
from broker.core.errors import BerthError, Unavailable
from broker.core.text import gettext_noop as N_

NOBODY = 65534
MEMORY = 2 << 30  # e2fsck of a file system of some TiB stays below
OUTPUT = 16 << 20
SECONDS = 900.0
_TICK = 0.5
# Debian keeps these where a service's PATH may not look.
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class OutOfBounds(BerthError):
    """The tool took too long or said too much: with what it was given, it is not to be trusted."""

    code, status = "out-of-bounds", 422


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str


def name_of(file: int) -> str:
    """By what name the tool opens the open `file`."""
    return f"/proc/self/fd/{file}"


def run(
    command: Sequence[str],
    *,
    file: int | None = None,
    also: Sequence[int] = (),
    stdin: str = "",
    seconds: float = SECONDS,
    as_nobody: bool = True,
    tick: Callable[[], None] = lambda: None,
) -> Ended:
    """Run `command` over the open `file`, and what is `also` open; returns its end with stdout and stderr as one text.

    `tick` is called about twice a second and may raise to end it. Raises OutOfBounds and Unavailable.
    """
    with tempfile.TemporaryFile() as given:
        # A file and not a pipe: nobody has to feed it while its answer is being read.
        given.write(stdin.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                [*_fence(seconds, as_nobody), *command], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(*(() if file is None else (file,)), *also), cwd="/",
                env={"PATH": _PATH, "LC_ALL": "C.UTF-8", "E2FSCK_FORCE_INTERACTIVE": ""},
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(
                N_("%(tool)s cannot be run (%(reason)s)."), rule="server.tool",
            fix=N_("Install e2fsprogs, qemu-utils and util-linux."),
                tool=command[0], reason=error.strerror or error,
            ) from error  # fmt: skip
        with process:
            assert process.stdout is not None
            try:
                output = _listen(process.stdout, command[0], clock.steady() + seconds, tick)
            except BaseException:
                process.kill()
                raise
            return Ended(process.wait(), output.decode(errors="surrogateescape"))


def _listen(talk: IO[bytes], tool: str, until: float, tick: Callable[[], None]) -> bytes:
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(talk, selectors.EVENT_READ)
        while True:
            tick()
            if clock.steady() > until:
                raise OutOfBounds(N_("%(tool)s took too long."), tool=tool)
            if not selector.select(_TICK):
                continue
            if not (piece := os.read(talk.fileno(), 1 << 16)):
                return bytes(said)
            said += piece
            if len(said) > OUTPUT:
                raise OutOfBounds(N_("%(tool)s has too much to say."), tool=tool)


def _fence(seconds: float, as_nobody: bool) -> list[str]:
    """What limits the tool; a child sets it for itself, since the worker has threads."""
    fence = ["prlimit", f"--as={MEMORY}", f"--cpu={int(seconds) + 5}", "--core=0", "--nofile=64", "--"]
    setpriv = shutil.which("setpriv", path=_PATH) or "setpriv"
    fence += [setpriv, "--no-new-privs"]
    if as_nobody and os.geteuid() == 0:
        fence += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    return fence


def give(file: int) -> None:
    """Let the tools write the open `file`, which is ours alone."""
    if os.geteuid() == 0:
        os.fchown(file, NOBODY, NOBODY)
