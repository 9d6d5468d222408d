"""The connections behind one link to a host: each carries one call at a time, and more are opened when more are made.

libvirt lets many threads call on one connection. But its client library before 10.1, when keepalive gives a
connection up under several waiting threads, lets one of them go and the next wait until the socket itself ends,
which takes hours for a host that dropped off the network, and then reads the stack of the thread that went
("rpc: ensure temporary GSource is removed from client event loop" in libvirt's history). A connection with a single
caller never gets there.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import HostUnreachable
from broker.virt.drivers.libvirt.errors import is_alive

MOST_IDLE = 8  # kept open for the next calls; a burst's others are closed after it


class Lines:
    """The open connections to one host. The first is given; `dial` opens another or raises HostUnreachable.

    Once any of them was lost all count as lost: whoever wants to go on opens a new link.
    """

    def __init__(self, first: libvirt.virConnect, dial: Callable[[], libvirt.virConnect]) -> None:
        self._dial, self._guard = dial, threading.Lock()
        self._idle, self._open = [first], {first}
        self._closed = self._lost = False
        self._bound = threading.local()

    @property
    def current(self) -> libvirt.virConnect:
        """The connection of the `bound()` block that this thread is in."""
        line: libvirt.virConnect | None = getattr(self._bound, "line", None)
        if line is None:
            raise RuntimeError("a host is called inside a block that holds a connection to it")
        return line

    def alive(self) -> bool:
        """Whether all of them stand; asks nobody."""
        with self._guard:
            return not self._closed and not self._lost and all(is_alive(line) for line in self._open)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """A block in which `current` is this thread's alone. May be nested. HostUnreachable after a loss."""
        if getattr(self._bound, "line", None) is not None:
            yield
            return
        with self.reserved() as line:
            self._bound.line = line
            try:
                yield
            finally:
                self._bound.line = None

    @contextmanager
    def reserved(self) -> Iterator[libvirt.virConnect]:
        """A connection for this block alone, in whichever threads it is used. HostUnreachable after a loss."""
        line = self.take()
        try:
            yield line
        finally:
            self.give_back(line)

    def take(self) -> libvirt.virConnect:
        """A connection for the caller alone until it is given back. HostUnreachable after a loss."""
        with self._guard:
            if self._closed or self._lost:
                raise _lost()
            if self._idle:
                return self._idle.pop()
        line = self._dial()
        with self._guard:
            if not self._closed:
                self._open.add(line)
                return line
        _shut(line)
        raise _lost()

    def give_back(self, line: libvirt.virConnect) -> None:
        """Take a connection back from who took it."""
        alive = is_alive(line)
        with self._guard:
            self._lost = self._lost or not alive
            if alive and not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append(line)
                return
            self._open.discard(line)
        _shut(line)

    def close(self) -> None:
        """Close those that carry no call at once and the others when their call has returned; may be called twice."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
            self._open.difference_update(idle)
        for line in idle:
            _shut(line)


def _lost() -> HostUnreachable:
    return HostUnreachable(
        gettext_noop("The host does not answer: %(reason)s."),
        fix=gettext_noop("Check that libvirtd runs there and that the network lets us through."),
        reason=gettext_noop("the connection was lost"),
    )


def _shut(line: libvirt.virConnect) -> None:
    try:
        line.close()
    except libvirt.libvirtError:
        pass  # a dead connection cannot be told good-bye
