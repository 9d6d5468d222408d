"""manage.py makedocs: write the pages of docs/ that are drawn from the code; --check says whether they are true."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Write docs/states.md, docs/plans.md and docs/settings.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        from portal.docs import PAGES

        for name, page in PAGES.items():
            path = settings.BASE_DIR / "docs" / name
            text = page()
            if options["check"] and (not path.exists() or path.read_text() != text):
                raise CommandError(f"docs/{name} is not what the code says; run `make docs`.")
            if not options["check"]:
                path.write_text(text)
