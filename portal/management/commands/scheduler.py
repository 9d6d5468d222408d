"""manage.py scheduler: wake the duties in time; a second one is a harmless spare."""

from typing import Any

from portal.processes.apart import PartCommand, Startable


class Command(PartCommand):
    help = "Wake the periodic duties. Needs BERTH_BROKER_URL."
    name = "scheduler"

    def parts(self, options: dict[str, Any]) -> list[Startable]:
        from portal.processes.scheduler import Beat

        return [Beat()]
