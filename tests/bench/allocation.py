"""Allocations a second through the API, beside a bare Django view, on PostgreSQL in the same run.

    python -m tests.bench.allocation [--quick]

1,000 free running desktops, 100 clients with sessions of their own, each asking for a desktop again and again over
one kept connection, until all desktops are taken; both sides are served by one uvicorn process on the first core,
clients and database on the second. Rounds alternate; the ratio is the median of those of each pair of rounds. After
each round nobody may have a desktop that somebody else has, and every desktop must be held. Prints a Markdown table;
JSON where BENCH_JSON says. The bar: at least half the bare view's rate.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BAR = 0.5
CSRF = "a" * 32


def serve(application: str, port: int, *, pinned: bool = True) -> subprocess.Popen[bytes]:
    """uvicorn with `application`, on the first core or where there is room."""
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning", "--lifespan", "off"]
    where = ["taskset", "-c", "0" if pinned else f"0-{(os.cpu_count() or 1) - 1}"]
    return subprocess.Popen([*where, sys.executable, "-m", "uvicorn", application, *options], cwd=ROOT)


class Client:
    """One keep-alive connection that posts the same request."""

    def __init__(self, port: int, path: str, session: str):
        self.port = port
        self.request = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nAccept: application/json\r\n"
            f"Cookie: sessionid={session}; csrftoken={CSRF}\r\nX-CSRFToken: {CSRF}\r\n\r\n"
        ).encode()
        self.answers: list[dict[str, Any]] = []
        self.times: list[float] = []

    async def run(self, count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for _ in range(count):
            began = time.perf_counter()
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
            )
            body = await reader.readexactly(length)
            if not head.startswith("HTTP/1.1 200"):
                raise RuntimeError(f"{head.splitlines()[0]}: {body[:500]!r}")
            self.times.append(time.perf_counter() - began)
            self.answers.append(json.loads(body))
        writer.close()


def attack(port: int, path: str, sessions: list[str], each: int) -> tuple[float, list[Client]]:
    """All clients at once; returns requests a second."""
    clients = [Client(port, path, session) for session in sessions]

    async def all_of_them() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(client.run(each) for client in clients))
        return time.perf_counter() - began

    return len(clients) * each / asyncio.run(all_of_them()), clients


class Stage:
    """The database: a pool of free desktops, users who are entitled to it, and their sessions."""

    def __init__(self, desktops: int, clients: int):
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from broker.directories.models import User
        from pools.models import Pool
        from tests.pools.conftest import free_rows
        from tests.world import World

        world = World.build()
        self.desktops, self.each = desktops, desktops // clients
        self.pool = Pool.objects.create(
            name="desk", title="Desks", cluster=world.cluster, template=world.template, storage=world.storage,
            size=desktops, prestarted=desktops, max_per_user=self.each,
        )  # fmt: skip
        world.grant(world.staff, "pool-user", self.pool)
        free_rows(self.pool, world, desktops)
        users = User.objects.bulk_create(
            User(directory=world.directory, username=f"user{number}", password="!") for number in range(clients)
        )
        world.staff.members.add(*users)
        self.sessions = [self._sign_in(user) for user in users]

    @staticmethod
    def _sign_in(user: Any) -> str:
        from django.conf import settings
        from django.contrib.sessions.backends.db import SessionStore

        session = SessionStore()
        session["_auth_user_id"] = str(user.pk)
        session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session.save()
        return str(session.session_key)

    def check(self, clients: list[Client]) -> None:
        """Every desktop is held, once, by whom it was given to."""
        from pools.models import Assignment, Desktop

        given = [answer["desktop"]["id"] for client in clients for answer in client.answers]
        assert len(given) == len(set(given)) == self.desktops, "a desktop was given twice"
        held = Desktop.objects.filter(pool=self.pool, state="assigned").count()
        assert held == Assignment.objects.filter(until=None).count() == self.desktops

    def reset(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE pools_desktop SET state = 'free', holder_id = NULL, held_since = NULL")
            cursor.execute("TRUNCATE pools_assignment, events_event")
            cursor.execute("VACUUM ANALYZE pools_desktop")
            cursor.execute("VACUUM ANALYZE virt_virtualmachine")


def measure(*, desktops: int, clients: int, rounds: int) -> dict[str, Any]:
    import django

    django.setup()
    stage = Stage(desktops, clients)
    path = f"/api/v1/pools/{stage.pool.pk}/take/"
    ports = {"berth": 18731, "bare": 18732}
    servers = [serve("portal.asgi:application", ports["berth"]), serve("tests.bench.bare:application", ports["bare"])]
    rates: dict[str, list[float]] = {"berth": [], "bare": []}
    cpu: dict[str, list[float]] = {"berth": [], "bare": []}
    times: list[float] = []
    try:
        for port in ports.values():
            wait_for(port)
        attack(ports["bare"], "/bare", stage.sessions, 2)
        attack(ports["berth"], path, stage.sessions[:10], 2)
        for _ in range(rounds):
            stage.reset()
            for name, server, address in (("bare", servers[1], "/bare"), ("berth", servers[0], path)):
                before = cpu_seconds(server.pid)
                rate, people = attack(ports[name], address, stage.sessions, stage.each)
                cpu[name].append((cpu_seconds(server.pid) - before) * 1000 / desktops)
                rates[name].append(rate)
            stage.check(people)
            times += [taken for client in people for taken in client.times]
    finally:
        for server in servers:
            server.terminate()
            server.wait(20)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["berth"], rates["bare"], strict=True))
    return {
        "berth_per_second": statistics.median(rates["berth"]),
        "bare_per_second": statistics.median(rates["bare"]),
        "ratio": ratio,
        "berth_cpu_ms": statistics.median(cpu["berth"]),
        "bare_cpu_ms": statistics.median(cpu["bare"]),
        "p95_ms": statistics.quantiles(times, n=20)[-1] * 1000,
        "rounds": rates,
        "bar": BAR,
        "met": ratio >= BAR,
    }


def cpu_seconds(pid: int) -> float:
    """Of a core, used by the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    import socket

    limit = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def table(result: dict[str, Any]) -> str:
    return "\n".join(
        (
            "| Allocations, 100 clients | per second | ratio | bar | |",
            "|---|---|---|---|---|",
            f"| bare Django view (session, SELECT, UPDATE; {result['bare_cpu_ms']:.1f} ms of a core) "
            f"| {result['bare_per_second']:.0f} | 1 | | |",
            f"| Berth, `POST /api/v1/pools/…/take/` (p95 {result['p95_ms']:.0f} ms; {result['berth_cpu_ms']:.1f} ms "
            f"of a core) | {result['berth_per_second']:.0f} "
            f"| {result['ratio']:.2f} | ≥ {BAR} | {'met' if result['met'] else 'MISSED'} |",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer desktops and rounds")
    options = parser.parse_args()
    if not os.environ.get("BERTH_DATABASE_URL"):
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as scratch:
            environment = {**os.environ, "BERTH_DATA_DIR": scratch, "BERTH_LISTEN": "127.0.0.1:80", "BERTH_DEBUG": "0"}
            here = [sys.executable, "-m", "tests.bench.allocation", *sys.argv[1:]]
            command = [sys.executable, "-m", "tests.servers.postgres", "--", *here]
            return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    result = measure(
        desktops=200 if options.quick else 1000, clients=20 if options.quick else 100, rounds=2 if options.quick else 4
    )
    print(table(result))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(result, indent=1))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
