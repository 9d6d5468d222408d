"""manage.py restore_manager FILE: this installation becomes what an archive of backup_manager holds."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from broker.core.errors import BerthError
from portal.keeping.restore import restore


class Command(BaseCommand):
    help = "Restore the manager from an archive, into an empty installation whose processes are stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="an archive that backup_manager made")
        parser.add_argument("--replace", action="store_true", help="set aside what is in this installation")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            done = restore(file, replace=options["replace"], say=self.stdout.write)
        except BerthError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"Nothing was restored, for the database refused: {str(error).strip()}") from error
        self.stdout.write(f"Restored: Berth {done.told.berth} as it was at {done.told.made_at:%F %T} UTC.")
        self.stdout.write(f"Jobs: {done.cancelled} are cancelled, {done.going_on} go on a minute from now.")
        if done.aside:
            self.stdout.write(f"What was here before is in {done.aside}; remove it when all is well.")
        self.stdout.write("Everybody signs in anew. Be sure that the manager of the backup no longer runs, then start.")
