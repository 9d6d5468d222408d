"""One libvirt connection: the event loop it needs, opening it in bounded time, knowing whether it still stands.

libvirt needs its event loop registered before the first connection of the process is opened, and a thread
that runs it: events, keepalive and non-blocking streams go through it. A connection may be used by many
threads at once, but is not here (lines.py). After a fork neither loop nor connections are usable in the child.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import libvirt

from broker.core.errors import Invalid
from broker.core.text import gettext_noop
from broker.virt.driver import HostUnreachable
from broker.virt.drivers.libvirt import ssh
from broker.virt.drivers.libvirt.errors import translate, translating
from broker.virt.drivers.libvirt.lines import Lines

CONNECT_TIMEOUT = 5.0
KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 3, 2  # seconds, probes: a silent host counts as gone after 9 s
_PORTS = {"tls": 16514, "tcp": 16509, "ssh": 22, "libssh": 22, "libssh2": 22}

_loop_lock = threading.Lock()
_loop_owner = 0  # the process the event loop runs in


def ensure_event_loop() -> None:
    """Register libvirt's event loop and start its thread, once in a process.

    RuntimeError in the child of a process that already had one: its descriptors belong to the parent.
    """
    global _loop_owner
    with _loop_lock:
        if _loop_owner == os.getpid():
            return
        if _loop_owner:
            raise RuntimeError("libvirt was already in use before this process was forked")
        libvirt.registerErrorHandler(lambda context, error: None, None)  # errors are raised, not also printed
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_loop, name="libvirt-events", daemon=True).start()
        _loop_owner = os.getpid()


def _run_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def open_connection(uri: str, timeout: float) -> libvirt.virConnect:
    """Open `uri` within `timeout` seconds or raise HostUnreachable.

    libvirt itself may hang for more than a minute on a host that dropped off the network, hence the probe of
    its port first and the thread that is left behind when it does not come back in time.
    """
    _probe(uri, timeout)
    over_ssh = urlsplit(uri).scheme.endswith("+ssh")
    if over_ssh:
        timeout = max(timeout, ssh.PATIENCE)
    ensure_event_loop()
    answers: list[libvirt.virConnect | libvirt.libvirtError] = []
    late = threading.Event()
    lock, done = threading.Lock(), threading.Event()

    def attempt() -> None:
        try:
            answer = libvirt.open(uri)
            answer.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
        except libvirt.libvirtError as error:
            answer = error
        with lock:
            if not late.is_set():
                answers.append(answer)
            elif isinstance(answer, libvirt.virConnect):
                answer.close()
        done.set()

    threading.Thread(target=attempt, name="libvirt-open", daemon=True).start()
    done.wait(timeout)
    with lock:
        late.set()
    if not answers:
        raise HostUnreachable(
            gettext_noop("The host does not answer: %(reason)s."),
            fix=gettext_noop("Check that libvirtd runs there and that the network lets us through."),
            reason=gettext_noop("libvirtd took too long"),
        )
    if isinstance(answers[0], libvirt.libvirtError):
        if over_ssh and (known := ssh.unreachable(str(answers[0]))):
            raise known from answers[0]
        raise translate(answers[0], alive=False) from answers[0]
    return answers[0]


def is_local(uri: str) -> bool:
    """Whether `uri` leads to libvirtd on this machine."""
    return not urlsplit(uri).hostname


def _probe(uri: str, timeout: float) -> None:
    """Raise HostUnreachable when nothing listens where `uri` leads, Invalid when it is no QEMU host's URI."""
    parts = urlsplit(uri)
    driver, _, transport = parts.scheme.partition("+")
    if driver != "qemu":
        raise Invalid(
            gettext_noop("“%(uri)s” is not the address of a QEMU host."),
            field="uri",
            fix=gettext_noop("Use qemu:///system for this machine or qemu+tls://host/system for another."),
            uri=uri,
        )
    if not parts.hostname:
        return
    try:
        port = parts.port or _PORTS.get(transport or "tls", 16514)
        socket.create_connection((parts.hostname, port), timeout).close()
    except OSError as error:
        raise HostUnreachable(
            gettext_noop("The host does not answer: %(reason)s."),
            fix=gettext_noop("Check that libvirtd runs there and that the network lets us through."),
            reason=error.strerror or str(error),
        ) from error


class Link:
    """What every part of the driver works with: a connection of its own in each call, look-ups, errors in our words."""

    def __init__(self, connection: libvirt.virConnect, uri: str) -> None:
        self.uri, self.local = uri, is_local(uri)
        self.lines = Lines(connection, lambda: open_connection(uri, CONNECT_TIMEOUT))
        self._closing: list[Callable[[], None]] = []

    @property
    def connection(self) -> libvirt.virConnect:
        """The connection of this thread's call. What was looked up through it must not outlive the call."""
        return self.lines.current

    def alive(self) -> bool:
        """Whether the host was not lost."""
        return self.lines.alive()

    def close(self) -> None:
        """Close what carries no call at once and the rest when its call has returned; safe twice and on a dead one."""
        for stop in self._closing:
            stop()
        self._closing.clear()
        self.lines.close()

    def on_close(self, action: Callable[[], None]) -> None:
        """Have `action` called before the connections close."""
        self._closing.append(action)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A block that may call the host, and whose libvirt errors come out as DriverErrors."""
        with self.lines.bound(), translating(self.connection):
            yield

    def domain(self, uuid: str) -> libvirt.virDomain:
        """The domain with this UUID. Call inside `calling()`."""
        return self.connection.lookupByUUIDString(uuid)
