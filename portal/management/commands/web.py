"""manage.py web: pages, API and live updates; consoles go to a gateway on the same machine."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.settings import env
from portal.processes.worker import refuse_embedded


class Command(BaseCommand):
    help = "Serve pages, API and live updates. Needs BERTH_BROKER_URL and BERTH_REDIS_URL."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listen", default=env.listen, help="address and port")

    def handle(self, *args: Any, **options: Any) -> None:
        if reason := refuse_embedded("web"):
            raise CommandError(reason)
        from portal.processes.together import runtime_dir
        from portal.processes.web import Web

        Web(options["listen"], str(runtime_dir() / "gateway.sock")).serve()
