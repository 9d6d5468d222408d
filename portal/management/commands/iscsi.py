"""manage.py iscsi: what an iSCSI portal offers, before a storage is made of it."""

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.core.errors import BerthError
from broker.virt import storage_notes
from broker.virt.iscsi import look
from broker.virt.iscsi.session import Session
from portal.web.lun_words import CONTENTS


class Command(BaseCommand):
    help = "List the iSCSI targets of a portal, or the LUNs of one target, what is on them and who uses them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("portal", help="HOST or HOST:PORT")
        parser.add_argument("--target", default="", help="the target's name; without it the targets are listed")
        parser.add_argument("--user", default="", help="CHAP's user; the password is asked for")

    def handle(self, *args: Any, **options: Any) -> None:
        user = options["user"]
        password = getpass() if user else ""
        try:
            with Session(options["portal"], options["target"], user=user, password=password) as session:
                for line in luns(session) if options["target"] else targets(session):
                    self.stdout.write(line)
        except BerthError as error:
            raise CommandError(str(error)) from error


def targets(session: Session) -> list[str]:
    return [f"{name}  {', '.join(portals)}" for name, portals in sorted(session.targets().items())]


def luns(session: Session) -> list[str]:
    return [f"LUN {one.lun}  {one.size >> 20} MiB  {_on(one)}" for one in look.luns(session)]


def _on(seen: look.Seen) -> str:
    note = storage_notes.newest(seen.notes)
    words = [str(CONTENTS[seen.content]), seen.volume, storage_notes.holder(note.document) if note else ""]
    return ", ".join(one for one in words if one)
