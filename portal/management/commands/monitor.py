"""manage.py monitor: watch hosts; several share the hosts among them."""

from typing import Any

from portal.processes.apart import PartCommand, Startable


class Command(PartCommand):
    help = "Observe hosts and their machines. Needs BERTH_BROKER_URL."
    name = "monitor"

    def parts(self, options: dict[str, Any]) -> list[Startable]:
        from broker.virt import serial
        from broker.virt.serial.door import SerialDoor
        from portal.processes.together import MonitorThread

        return [MonitorThread(), SerialDoor(serial.socket_path())]
