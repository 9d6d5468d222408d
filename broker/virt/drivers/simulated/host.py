"""The parts of the simulated driver put together: one connection to one host."""

import logging
from collections.abc import Callable
from datetime import datetime

from broker.virt.driver import EventKind, HostEvent, PowerState
from broker.virt.drivers.simulated.adopting import Describing
from broker.virt.drivers.simulated.backups import BackingUp
from broker.virt.drivers.simulated.commands import Commanding
from broker.virt.drivers.simulated.consoles import Showing
from broker.virt.drivers.simulated.copies import Copying
from broker.virt.drivers.simulated.hostdevices import Lending
from broker.virt.drivers.simulated.machines import Defining, Seeing
from broker.virt.drivers.simulated.moves import Moving
from broker.virt.drivers.simulated.power import Powering
from broker.virt.drivers.simulated.storage import Networking
from broker.virt.drivers.simulated.trays import Changer

log = logging.getLogger(__name__)


class SimulatedHost(
    Seeing,
    Describing,
    Changer,
    Commanding,
    Defining,
    Lending,
    Powering,
    BackingUp,
    Copying,
    Networking,
    Showing,
    Moving,
):
    """A connection to one simulated host; see broker/virt/driver/ for what each verb does."""

    def subscribe(self, callback: Callable[[HostEvent], None]) -> Callable[[], None]:
        self.meet("subscribe")

        def tell(kind: EventKind, uuid: str, detail: str, at: datetime) -> None:
            if not self._open:
                return
            seen = self.look(uuid) if uuid else None
            if seen is not None and seen.power is PowerState.MISSING:
                kind, seen = EventKind.UNDEFINED, None
            try:
                callback(HostEvent(kind, uuid, at, detail, seen))
            except Exception:
                log.exception("a subscriber failed on %s of %s", kind, uuid)

        return self.world.listen(tell)
