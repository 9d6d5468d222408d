"""A gateway that is there again at once when it is killed: forked from a process that has everything loaded.

To load what a gateway needs takes a second, and more on a busy machine; to fork one that has it, some milliseconds. The
process that waits runs no thread, no loop and no connection. Orders (SIGTERM, SIGINT) go on to the gateway; the
lifeline's end ends both, and so does the end of the process that waits, for the gateway has a lifeline from it.
"""

import contextlib
import gc
import importlib
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)
_LOADED = ("uvloop", "broker.gateway.process", "broker.gateway.django_desk", "broker.gateway.engines.picows")
_TOO_SOON = 1.0
"""Seconds: one that is killed sooner would be so again; then this process ends, and who started it has patience."""


def keep(serve: Callable[[int], None], lifeline: int) -> None:
    """Run `serve`, given a lifeline, in a child, and again when a signal has killed it. Returns when it ends itself."""
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector would write to, and so copy, every page that both share
    while True:
        began = time.monotonic()
        killed = _run(serve, lifeline)
        if not killed:
            return
        if time.monotonic() - began < _TOO_SOON:
            sys.exit(f"The console gateway was killed by signal {killed} right after its start")
        log.error("The console gateway was killed by signal %d; another goes on", killed)


def _run(serve: Callable[[int], None], lifeline: int) -> int:
    """One gateway from its start to its end; the number of the signal that killed it, 0 when it went by itself."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        status = 1
        try:
            serve(read)
            status = 0
        except SystemExit as end:
            status = _status(end)
        finally:
            logging.shutdown()
            os._exit(status)
    os.close(read)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(ended, number)

    ended = os.pidfd_open(child)
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        watching = select.poll()
        watching.register(ended, select.POLLIN)
        watching.register(lifeline, select.POLLIN)
        if not any(descriptor == ended for descriptor, _ in watching.poll()):
            os.close(write)
            write = -1
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ended)
        if write >= 0:
            os.close(write)
    if status > 0:
        sys.exit(status)
    return -status


def _status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1
