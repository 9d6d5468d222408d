"""The LUNs of a target for the manager: as for an agent, and waiting for one that somebody else holds."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from broker.virt.agent.luns import Unit as Unit
from broker.virt.agent.luns import flush as flush
from broker.virt.agent.luns import put as put
from broker.virt.agent.luns import read as read
from broker.virt.agent.luns import reserved
from broker.virt.agent.luns import units as units
from broker.virt.agent.luns import write as write
from broker.virt.driver import Locked, StorageSilent

from .session import Session

_PATIENCE = 15.0  # seconds for which another holder of a LUN is waited for


@contextmanager
def held(session: Session, unit: Unit) -> Iterator[None]:
    """A block in which nobody else reads or writes the LUN. Who keeps it for long loses it, and is told before it
    writes again: the hosts' leases lie on the same LUN as the table.
    """
    until = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(reserved(session, unit))
                break
            except Locked:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        try:
            yield
        finally:
            with suppress(StorageSilent):  # the end of the session was the end of the reservation
                stack.close()
