"""The parts of the driver put together: one connection to one host."""

import threading
from typing import Self

from broker.virt.drivers.libvirt.adopting import Describing
from broker.virt.drivers.libvirt.agent import Asking
from broker.virt.drivers.libvirt.commands import Commanding
from broker.virt.drivers.libvirt.connection import open_connection
from broker.virt.drivers.libvirt.consoles import Showing
from broker.virt.drivers.libvirt.definitions import Defining
from broker.virt.drivers.libvirt.events import Telling
from broker.virt.drivers.libvirt.hostdevices import Lending
from broker.virt.drivers.libvirt.lun_images import LunImages
from broker.virt.drivers.libvirt.moves import Moving
from broker.virt.drivers.libvirt.networks import Networking
from broker.virt.drivers.libvirt.notes import Noting
from broker.virt.drivers.libvirt.observe import MOST_STUCK
from broker.virt.drivers.libvirt.patience import Patience
from broker.virt.drivers.libvirt.points import Remembering
from broker.virt.drivers.libvirt.power import Powering
from broker.virt.drivers.libvirt.trays import Changer


class LibvirtHost(
    LunImages,
    Telling,
    Asking,
    Commanding,
    Describing,
    Changer,
    Defining,
    Powering,
    Noting,
    Lending,
    Networking,
    Showing,
    Moving,
    Remembering,
):
    """A live connection to one libvirt host; see broker/virt/driver/ for what each verb does."""

    def __init__(self, connection: object, uri: str) -> None:
        super().__init__(connection, uri)
        self._definitions, self._runs, self._moves, self._feed_lock = {}, {}, {}, threading.Lock()
        self.patience = Patience()
        self._stuck = threading.Semaphore(MOST_STUCK)

    @classmethod
    def open(cls, uri: str, *, timeout: float) -> Self:
        """Open `uri` within `timeout` seconds or raise HostUnreachable."""
        return cls(open_connection(uri, timeout), uri)
