"""An installation with a data directory of its own: spoken to by its commands, its database looked at from outside."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests import prepared

_LIFE = "import django; django.setup(); from tests.portal.keeping.life import main; main({what!r})"


@dataclass
class Installation:
    """`url`: its PostgreSQL; "" for SQLite."""

    folder: Path
    url: str = ""
    words: dict[str, str] = field(default_factory=dict)

    def manage(self, *argv: object, fails: bool = False) -> str:
        """What a command said; it must end well, or `fails` without a traceback."""
        done = self._run(["manage.py", *map(str, argv)])
        assert "Traceback" not in done.stderr, done.stderr
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return " ".join((done.stderr if fails else done.stdout).split())

    def life(self, what: str):
        done = self._run(["-c", _LIFE.format(what=what)])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table of its schema, as its database's own client reads them; none where it has none."""
        if self.url:
            line = psycopg.connect(self.url)
            names = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        else:
            file = self.folder / "berth.sqlite3"
            line = sqlite3.connect(file if file.exists() else ":memory:", timeout=20)
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        with contextlib.closing(line):
            tables = sorted(name for (name,) in line.execute(names).fetchall())
            read = {table: line.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}
        return {table: sorted(map(repr, found)) for table, found in read.items()}

    def migrated(self) -> "Installation":
        """With all tables and nothing in them."""
        self.folder.mkdir(exist_ok=True)
        if not self.url:
            shutil.copyfile(prepared.sqlite_file(), self.folder / "berth.sqlite3")
        return self

    def files(self) -> dict[str, bytes]:
        return {str(one.relative_to(self.folder)): one.read_bytes() for one in self.folder.rglob("*") if one.is_file()}

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
        own |= {"BERTH_DATA_DIR": str(self.folder), "DJANGO_SETTINGS_MODULE": "broker.settings", **self.words}
        if self.url:
            own["BERTH_DATABASE_URL"] = self.url
        return subprocess.run(
            [sys.executable, *argv], cwd=prepared.ROOT, env=own, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
