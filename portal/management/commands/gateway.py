"""manage.py gateway: carry consoles. Becomes `python -m broker.gateway`, which loads none of the pages."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

OPTIONS = ("listen", "tls-cert", "tls-key", "handover")


class Command(BaseCommand):
    help = "Carry consoles between browsers and machines."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listen", default="", help="HOST:PORT of its own")
        parser.add_argument("--tls-cert", default="", help="certificate chain for --listen (PEM)")
        parser.add_argument("--tls-key", default="", help="private key for --listen (PEM)")
        parser.add_argument("--handover", default="", help="unix socket on which the web process passes consoles")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["listen"] and not options["handover"]:
            from portal.processes.together import runtime_dir

            options["handover"] = str(runtime_dir() / "gateway.sock")
        given = [
            item for name in OPTIONS if (value := options[name.replace("-", "_")]) for item in (f"--{name}", value)
        ]
        os.execv(sys.executable, [sys.executable, "-m", "broker.gateway", *given])  # noqa: S606 - no shell is meant
