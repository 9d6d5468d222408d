"""manage.py backup_manager FILE: Berth's database and secret key in one archive, while everything goes on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from broker.core.errors import BerthError
from portal.keeping.backup import backup


class Command(BaseCommand):
    help = "Keep the manager itself: its database and secret key in one archive. Machines may go on, and Berth too."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="where the archive is to be; it must not exist")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            made = backup(file)
        except BerthError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {str(error).strip()}") from error
        self.stdout.write(f"{made.path}: {made.size} bytes, Berth {made.told.berth} of {made.told.made_at:%F %T} UTC.")
        if made.told.key_in == "environment":
            self.stdout.write("BERTH_SECRET_KEY is not in it: keep it elsewhere, nothing can be restored without it.")
        else:
            self.stdout.write("The secret key is in it: keep it where only you can read it.")
        for name, why in made.left_out:
            self.stdout.write(f"Left out: {name} ({why}).")
