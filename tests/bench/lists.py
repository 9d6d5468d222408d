"""Machines at 10, 100 and 10,000 of them: the list, a search, one machine; page and API, for an admin and for a user.

    python -m tests.bench.lists [--quick] [--only sqlite]

One process for each size, over a database of its own (SQLite, and PostgreSQL with three databases on one server);
rounds go round the sizes, and the best ones are compared, because the machine is never quiet. Requests go through
the whole of Django with a session (pages) or a token (API). The user holds a role on the pool that half of the
machines are in, so that rights are part of the question. Prints a Markdown table; JSON where BENCH_JSON says.
The search has five terms and an order. The bars: as many statements at 10,000 as at 10; at most 1.5 times the time at
100, of a search's excepted, which looks at them all; and a p95 of 200 ms at 10,000, of all answers of all rounds.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
SIZES = (10, 100, 10_000)
BAR, P95_BAR = 1.5, 200.0
SEARCH = "status=up and memory>=1g and name=desk* and not protected=yes and age<9d sort by memory desc"
VIEWS = {
    "list": {"page": "/manage/machines/", "API": "/api/v1/vms/"},
    "search": {"page": "/manage/machines/?q={search}", "API": "/api/v1/vms/?search={search}"},
    "one": {"page": "/vms/{pk}/", "API": "/api/v1/vms/{pk}/"},
}


class Stage:
    """So many machines, and the callers by name of what they ask for."""

    def __init__(self, count: int):
        import django
        from django.conf import settings

        django.setup()
        # What the pages refer to need not be collected for this.
        settings.STATIC_ROOT.mkdir(parents=True)
        settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from broker.virt.models import VirtualMachine
        from pools.models import Pool
        from tests.pools.conftest import free_rows
        from tests.world import World

        self.world = world = World.build()
        pool = Pool.objects.create(
            name="desk", title="Desks", cluster=world.cluster, template=world.template, storage=world.storage,
            size=count,
        )  # fmt: skip
        free_rows(pool, world, count // 2)
        VirtualMachine.objects.bulk_create(
            VirtualMachine(
                cluster=world.cluster, host=world.host, template_version=world.version, name=f"vm-{number}",
                state="ready", power_state="off", guest={"os_name": "Debian", "addresses": ["192.0.2.7"]},
            )
            for number in range(count - count // 2)
        )  # fmt: skip
        world.grant(world.alice, "vm-user", pool)
        world.grant(world.staff, "pool-user", pool)
        world.staff.members.add(world.alice)
        VirtualMachine.objects.update(memory_mib=2048)
        self.one = VirtualMachine.objects.get(name="desk-1")
        self._furnish()
        self._analyze()
        self.asked = {
            f"{view}, {way}, {who}": self._caller(view, way, who)
            for view in VIEWS for way in ("page", "API") for who in ("admin", "user")
        }  # fmt: skip

    def _furnish(self) -> None:
        """The machine that is looked at has what machines have, and some that happened."""
        from broker.access.actor import Actor
        from broker.events.record import record
        from broker.virt.models import Disk, Nic

        for target in ("vda", "vdb"):
            Disk.objects.create(
                vm=self.one, storage=self.world.storage, target=target, volume=f"{target}.qcow2", size_bytes=10 << 30
            )
        Nic.objects.create(vm=self.one, network=self.world.network, mac="52:54:00:00:00:01")
        for number in range(50):
            record("vm.note", actor=Actor.system("bench"), subject=self.one, message=f"Note {number}")

    @staticmethod
    def _analyze() -> None:
        """A new table has no statistics; a server that has run for a minute has."""
        from django.db import connection

        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")

    def _caller(self, view: str, way: str, who: str) -> Any:
        from django.test import Client

        from portal.models import ApiToken

        user = self.world.root if who == "admin" else self.world.alice
        if way == "page":
            client = Client(SERVER_NAME="127.0.0.1")
            client.force_login(user)
        else:
            _, token = ApiToken.objects.create(user=user, name="bench")
            client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Bearer {token}"})
        path = VIEWS[view][way].format(search=quote(SEARCH), pk=self.one.pk)
        return lambda: client.get(path)

    def statements(self, what: str) -> int:
        """How many SQL statements one answer takes."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.asked[what]()
        with CaptureQueriesContext(connection) as queries:
            answer = self.asked[what]()
        assert answer.status_code == 200, f"{what}: {answer.status_code}"
        assert b"desk-1" in answer.content, f"{what} shows no machine"
        return len(queries)

    def times(self, what: str, count: int) -> list[float]:
        """Milliseconds of `count` answers."""
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            self.asked[what]()
            taken.append((time.perf_counter() - began) * 1000)
        return taken


def serve(count: int) -> None:
    """Answer on stdout what is asked line by line on stdin; the Stage of one size."""
    stage = Stage(count)
    print(json.dumps({what: stage.statements(what) for what in stage.asked}), flush=True)
    gc.collect()
    gc.freeze()  # as the web process does (portal/http.py), which has not made the rows in its own memory either
    for line in sys.stdin:
        what, number = json.loads(line)
        print(json.dumps(stage.times(what, number)), flush=True)


class Size:
    """The process that has so many machines."""

    def __init__(self, count: int, environment: dict[str, str]):
        command = [sys.executable, "-m", "tests.bench.lists", "--serve", str(count)]
        self.process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self) -> Any:
        assert self.process.stdout
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"the process ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, what: str, number: int) -> list[float]:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([what, number]) + "\n")
        self.process.stdin.flush()
        return list(self.read())

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


def measure(environments: dict[int, dict[str, str]], *, rounds: int) -> dict[str, Any]:
    """By what was asked: statements and milliseconds at each size, and the ratio of the best times."""
    sizes: dict[int, Size] = {}
    try:
        for count, environment in environments.items():
            sizes[count] = Size(count, environment)
        statements = {count: size.read() for count, size in sizes.items()}
        result: dict[str, Any] = {}
        for what in statements[SIZES[0]]:
            times: dict[int, list[float]] = {count: [] for count in sizes}
            for _ in range(rounds):
                for count, size in sizes.items():
                    times[count] += size.ask(what, 5)
            result[what] = {
                "statements": {count: statements[count][what] for count in sizes},
                "best_ms": {count: min(taken) for count, taken in times.items()},
                "median_ms": {count: statistics.median(taken) for count, taken in times.items()},
                "p95_ms": statistics.quantiles(times[SIZES[-1]], n=20)[-1],
                "ratio": min(times[SIZES[-1]]) / min(times[100]),
            }
    finally:
        for size in sizes.values():
            size.stop()
    return result


def on_sqlite(rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        folders = {count: str(Path(name) / str(count)) for count in SIZES}
        return measure({count: _environment(folder, "") for count, folder in folders.items()}, rounds=rounds)


def on_postgresql(rounds: int) -> dict[str, Any]:
    from tests.servers import postgres

    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name, postgres.running() as url:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            for count in SIZES:
                connection.execute(f"CREATE DATABASE berth_{count}")
        urls = {count: url.replace("/berth?", f"/berth_{count}?") for count in SIZES}
        environments = {count: _environment(f"{name}/{count}", where) for count, where in urls.items()}
        return measure(environments, rounds=rounds)


def _environment(folder: str, url: str) -> dict[str, str]:
    return {
        **os.environ, "BERTH_DATA_DIR": folder, "BERTH_DATABASE_URL": url, "BERTH_LISTEN": "127.0.0.1:80",
        "BERTH_DEBUG": "0", "DJANGO_SETTINGS_MODULE": "broker.settings",
    }  # fmt: skip


def bars(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines for each database and question."""
    lines = []
    for database, result in results.items():
        for what, told in result.items():
            counts, best, ratio, p95 = told["statements"], told["best_ms"], told["ratio"], told["p95_ms"]
            same, view = counts[SIZES[0]] == counts[SIZES[-1]], what.partition(",")[0]
            name = f"Machines, {what}, {database}"
            lines.append({
                "what": f"{name}: statements at 10,000 against 10",
                "ours": str(counts[SIZES[-1]]), "baseline": str(counts[SIZES[0]]),
                "value": "same" if same else "more", "bar": "the same", "met": same,
            })  # fmt: skip
            if view != "search":
                lines.append({
                    "what": f"{name}: time at 10,000 against 100",
                    "ours": f"{best[SIZES[-1]]:.1f} ms", "baseline": f"{best[100]:.1f} ms",
                    "value": f"{ratio:.2f}", "bar": f"≤ {BAR}", "met": ratio <= BAR,
                })  # fmt: skip
            lines.append({
                "what": f"{name}: p95 at 10,000", "ours": f"{p95:.0f} ms", "baseline": "",
                "value": f"{p95:.0f} ms", "bar": f"≤ {P95_BAR:g} ms", "met": p95 <= P95_BAR,
            })  # fmt: skip
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="one database only")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    rounds = 3 if options.quick else 8
    results = {}
    if options.only != "postgresql":
        results["SQLite"] = on_sqlite(rounds)
    if options.only != "sqlite":
        results["PostgreSQL"] = on_postgresql(rounds)
    lines = bars(results)
    from tests.bench.report import table

    print(table(lines))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"lists": results, "bars": lines}, indent=1))
    return 0 if all(line["met"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
