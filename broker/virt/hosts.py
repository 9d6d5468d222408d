"""Connections to hosts: one per host and process, opened when first asked for, after any fork.

A host that did not answer is left alone for a while, longer each time, so that a dead host costs its jobs
nothing but a refusal. Never used while a web request is answered: a page must not wait for a hypervisor.
"""

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt import drivers
from broker.virt.driver import HostConnection, HostUnreachable
from broker.virt.pki.line import uri_of

if TYPE_CHECKING:
    from broker.jobs.context import Context

    from .models import Host

CONNECT_TIMEOUT = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class _Link:
    """This process's line to one host."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: HostConnection | None = None
        self.address: tuple[str, str] = ("", "")
        self.failures = 0
        self.retry_at = 0.0
        self.cause: HostUnreachable | None = None

    def get(self, host: "Host") -> HostConnection:
        with self.lock:
            address = (host.driver, host.uri)
            if self.connection is not None and self.address == address and self.connection.alive():
                return self.connection
            if self.address != address:
                self.failures, self.retry_at = 0, 0.0
            self.close()
            if clock.steady() < self.retry_at and self.cause is not None:
                raise self.cause
            self.address = address
            return self._open(host)

    def _open(self, host: "Host") -> HostConnection:
        try:
            connection = drivers.load(host.driver).connect(uri_of(host), timeout=CONNECT_TIMEOUT)
            _same_host(host, connection)
        except HostUnreachable as error:
            self.failures += 1
            self.retry_at = clock.steady() + min(SHORTEST_PAUSE * 2 ** (self.failures - 1), LONGEST_PAUSE)
            self.cause = error
            raise
        self.connection, self.failures, self.retry_at, self.cause = connection, 0, 0.0, None
        return connection

    def close(self) -> None:
        if self.connection is not None:
            try:
                self.connection.close()
            except HostUnreachable:
                pass  # it is gone already, which is what was wanted
            self.connection = None


def _same_host(host: "Host", connection: HostConnection) -> None:
    """Refuse a hypervisor which is not the one that was observed under this name: its disks are others."""
    if not host.observed_uuid:
        return
    found = connection.facts().uuid
    if found != host.observed_uuid:
        connection.close()
        raise Conflict(
            N_("Another hypervisor answers at the address of %(name)s."),
            rule="host.identity",
            fix=N_("Correct the address, or remove the host and add it again."),
            name=host.name,
        )


_links: dict[UUID, _Link] = {}
_pid = 0
_guard = threading.Lock()


def connection(host: "Host") -> HostConnection:
    """The line to `host`. Raises HostUnreachable at once while a failed host is being left alone."""
    return _link(host.pk).get(host)


def elsewhere(host: "Host") -> bool:
    """Whether the host is another machine than this, whose files it does not see."""
    return host.driver == "libvirt" and bool(urlsplit(host.uri).hostname)


def forget(host: "Host") -> None:
    """Close the line to `host`, and let the next asker try at once."""
    with _guard:
        link = _links.pop(host.pk, None)
    if link is not None:
        with link.lock:
            link.close()


def leave() -> None:
    """Close the lines of this process as it ends: libvirt's own tidying comes too late and complains.

    One that is in use is left to the system: nothing may keep a process from ending.
    """
    for link in list(_links.values()) if _pid == os.getpid() else ():
        if link.lock.acquire(blocking=False):
            link.close()
            link.lock.release()


atexit.register(leave)


def _link(host_id: UUID) -> _Link:
    global _pid
    with _guard:
        if _pid != os.getpid():
            # Inherited across a fork: the parent's sockets, which must neither be used nor closed here.
            _links.clear()
            _pid = os.getpid()
        return _links.setdefault(host_id, _Link())


class _Guarded:
    """A connection that makes sure of the job's lease before each call."""

    def __init__(self, ctx: "Context", target: HostConnection):
        self._ctx, self._target = ctx, target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._ctx.check()
            return method(*args, **kwargs)

        return call


def guarded(ctx: "Context", host: "Host") -> HostConnection:
    """The line to `host` for a step of a job: each call first checks that the job is still ours."""
    return cast(HostConnection, _Guarded(ctx, connection(host)))
