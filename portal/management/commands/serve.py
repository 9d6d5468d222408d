"""manage.py serve: everything on one machine, at one address, with no other server than libvirtd."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from broker.core.errors import BerthError
from broker.settings import env


class Command(BaseCommand):
    help = "Run web, worker, scheduler, monitor and console gateway together."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--setup-demo", action="store_true", help="first make a demo: host, image, pool and users")
        parser.add_argument("--image", default="desktop", choices=["desktop", "tiny"], help="which demo image to build")
        parser.add_argument("--host-uri", default="", help="the demo's host, if it is not this computer's own libvirtd")
        parser.add_argument("--no-libvirtd", action="store_true", help="do not start libvirtd; hosts are elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._serve(
                demo=options["setup_demo"], image=options["image"], uri=options["host_uri"] or "qemu:///system",
                own_libvirtd=not (options["no_libvirtd"] or options["host_uri"]),
            )  # fmt: skip
        except BerthError as error:
            raise CommandError(f"{error.message} {error.fix}") from error

    def _serve(self, *, demo: bool, image: str, uri: str, own_libvirtd: bool) -> None:
        if not settings.EMBEDDED:
            self.stderr.write("BERTH_BROKER_URL is set: other workers may share the work with this process.")
        from portal.demo.setup import Demo, has_work
        from portal.demo.tell import Teller
        from portal.processes import preflight
        from portal.processes.database import protect
        from portal.processes.libvirtd import Libvirtd

        tell = Teller(self.stdout)
        preflight.check(env.listen, settings.DATA_DIR, machines=own_libvirtd, space=preflight.SPACE_NEEDED // 8)
        protect()
        first_time = demo and has_work()
        if first_time:
            preflight.check(env.listen, settings.DATA_DIR, machines=own_libvirtd)
        self._prepare(tell)
        libvirtd = Libvirtd() if own_libvirtd else None
        try:
            if libvirtd:
                tell.step("Starting libvirtd" if libvirtd.ensure() else "libvirtd is running")
            setup = Demo(tell, image, uri) if demo else None
            if setup and first_time:
                setup.build_image()
            from portal.processes.together import serve

            serve(libvirtd=libvirtd, beside=setup.run if setup else tell.open_here)
        finally:
            if libvirtd:
                libvirtd.stop()
        tell.step("Stopped. Running machines were left as they are.")
        sys.stdout.flush()
        sys.stderr.flush()
        # A thread that waits for a dead host would keep the interpreter from ending; its job goes on at the next start.
        os._exit(0)

    def _prepare(self, tell: Any) -> None:
        from portal.processes import pages
        from portal.processes.database import pending

        if pending():
            tell.step("Preparing the database")
            call_command("migrate", verbosity=0, interactive=False)
        if not settings.DEBUG and pages.stale():
            tell.step("Preparing pages")
            pages.collect()
        sys.stdout.flush()
