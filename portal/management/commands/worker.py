"""manage.py worker: do jobs and duties; run as many as wanted."""

from typing import Any

from portal.processes.apart import PartCommand, Startable


class Command(PartCommand):
    help = "Do jobs and duties. Needs BERTH_BROKER_URL."
    name = "worker"

    def parts(self, options: dict[str, Any]) -> list[Startable]:
        from portal.processes.worker import workers

        return list(workers())
