"""Nine o'clock: 1,000 people sign in within a minute, over PostgreSQL and a real slapd, beside the bare minimum.

    python -m tests.bench.storm [--quick]

Each of them opens the sign-in page, signs in (TLS, search and bind at slapd, groups), is sent to a desktop or into the
pool's queue, opens that page and has a ticket to the screen from it (or asks for one, as the page does when it brings
none), over one connection and with cookies, as a browser would. 800 desktops run and are free; the pool is made larger
by 200 the moment the first comes, on the simulated driver. Two uvicorn processes serve; worker, scheduler and monitor
are threads of a third process. Checked afterwards: no 5xx, no desktop twice, everybody has one, and who joined the
queue first was served first (F33).

The baseline is a Django view that binds at the same slapd and writes a session, and nothing else; compared is what a
sign-in costs of a core in the serving process. Prints a Markdown table; JSON where BENCH_JSON says.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.allocation import ROOT, cpu_seconds, serve, wait_for

SECONDS_BAR, CPU_BAR = 2.5, 4.0
PASSWORD = "secret of theirs"
BARE_PORT, PORTS = 18742, (18741, 18743)
BEAT = 2.0
WARM = 20
"""Sign-ins before anything is counted, here as at the baseline: what is loaded once is no part of one of them."""
URI = "sim://storm?cpus=64&memory=2097152&vnc=/nowhere.sock"
_DATA = re.compile(r'<script id="console-data" type="application/json">(.*?)</script>')
_FORM = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Browser:
    """One connection, cookies, and no following of redirects by itself."""

    def __init__(self, port: int):
        self.port, self.cookies = port, {}  # type: int, dict[str, str]
        self.lines: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.worst = 0

    async def ask(self, method: str, path: str, body: str = "", kind: str = "") -> tuple[int, str, str]:
        """(status, location, body)"""
        if self.lines is None:
            self.lines = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.lines
        head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body.encode())}"]
        head.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if method == "POST":
            head += ["Origin: http://127.0.0.1", f"X-CSRFToken: {self.cookies.get('csrftoken', '')}"]
            head.append(f"Content-Type: {kind or 'application/x-www-form-urlencoded'}")
        writer.write("\r\n".join((*head, "", body)).encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status, length, location = int(answer[0].split()[1]), 0, ""
        for line in answer[1:]:
            name, _, value = line.partition(": ")
            match name.lower():
                case "content-length":
                    length = int(value)
                case "location":
                    location = value
                case "set-cookie":
                    key, _, rest = value.partition("=")
                    self.cookies[key] = rest.partition(";")[0]
        text = (await reader.readexactly(length)).decode() if length else ""
        self.worst = max(self.worst, status)
        return status, location, text

    def close(self) -> None:
        if self.lines is not None:
            self.lines[1].close()


@dataclass
class Person:
    """One who comes to work. `queued` when no desktop was free; times in seconds from the first request."""

    name: str
    pool: str
    seconds: float = 0.0
    queued: bool = False
    desktop: str = ""
    phases: dict[str, float] = field(default_factory=dict)

    async def come(self, port: int, limit: float) -> None:
        began = time.perf_counter()
        browser = Browser(port)
        try:
            async with asyncio.timeout(limit):
                await self._work(browser, began)
            self.seconds = time.perf_counter() - began
            assert browser.worst < 500, f"an answer with {browser.worst}"
        finally:
            browser.close()

    async def _work(self, browser: Browser, began: float) -> None:
        _, _, page = await browser.ask("GET", "/sign-in")
        self._note("page", began)
        found = _FORM.search(page)
        assert found, page[:300]
        form = f"csrfmiddlewaretoken={found[1]}&username={self.name}&password={PASSWORD.replace(' ', '+')}"
        status, location, page = await browser.ask("POST", "/sign-in", form)
        assert status == 302, f"sign-in: {status} {page[-600:]}"
        self._note("signed in", began)
        _, _, page = await browser.ask("GET", location)
        if (found := _DATA.search(page)) and json.loads(found[1]).get("ticket"):
            self.desktop = location.strip("/").split("/")[1]
            self._note("desktop", began)
            return
        address = f"/pools/{self.pool}/take"
        while "/console" not in location:
            status, location, page = await browser.ask("POST", address)
            if (status == 302 and "/wait" in location) or status == 200:
                self.queued, location, address = True, "", f"/pools/{self.pool}/wait/beat"
                await asyncio.sleep(BEAT)
            else:
                assert status == 302, f"take: {status} {page[-600:]}"
        self.desktop = location.strip("/").split("/")[1]
        self._note("desktop", began)
        status = 0
        while status != 200:
            status, _, page = await browser.ask("POST", f"/vms/{self.desktop}/console/ticket", "{}", "application/json")
            if status == 409:  # it is not up yet
                self.queued = True
                await asyncio.sleep(BEAT)
            else:
                assert status == 200, f"ticket: {status} {page[:300]}"
        assert json.loads(page)["ticket"]

    def _note(self, phase: str, began: float) -> None:
        self.phases[phase] = time.perf_counter() - began


async def storm(people: list[Person], ports: Sequence[int], over: float) -> list[BaseException]:
    """All of them, evenly over that many seconds; returns what went wrong."""

    async def later(index: int, person: Person) -> None:
        await asyncio.sleep(over * index / len(people))
        await person.come(ports[index % len(ports)], limit=120.0)

    done = await asyncio.gather(*(later(*one) for one in enumerate(people)), return_exceptions=True)
    return [one for one in done if isinstance(one, BaseException)]


class Stage:
    """The site: a directory with its people, a group that may use the pool, a host that exists in memory."""

    def __init__(self, slapd: Any, people: int):
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from broker.directories.models import Directory, Group
        from broker.directories.secret import sealed
        from tests.servers import slapd as servers
        from tests.world import GIB, World

        self.names = [f"storm{number}" for number in range(people)]
        slapd.group("staff", *(slapd.person(name, PASSWORD) for name in self.names))
        self.world = World.build(uri=URI)
        self.world.host.memory_bytes = self.world.host.memory_free_bytes = 2048 * GIB
        self.world.host.cpus = 64
        self.world.host.save()
        directory = Directory.objects.create(
            name="Site", kind="ldap", order=1, config=slapd.config(), secret=sealed(servers.READER_PASSWORD)
        )
        staff = Group.objects.create(
            directory=directory, name="staff", external_id=slapd.attribute(f"cn=staff,{servers.GROUPS}", "entryUUID")
        )
        self.staff = staff

    def pool(self, size: int) -> Any:
        """All of it running and free; whoever comes is given one at once."""
        from broker.access.actor import Actor
        from pools.actions.create_pool import create_pool

        pool = create_pool(
            actor=Actor.system("bench"), name="desk", title="Desks", template=self.world.template,
            storage=self.world.storage, size=size, prestarted=size,
        )  # fmt: skip
        self.world.grant(self.staff, "pool-user", pool)
        limit = time.monotonic() + 300
        while self.free(pool) < size:
            if time.monotonic() > limit:
                raise RuntimeError(f"only {self.free(pool)} of {size} desktops are ready")
            time.sleep(0.5)
        return pool

    def free(self, pool: Any) -> int:
        from pools.models import Desktop

        return Desktop.objects.filter(pool=pool, state="free", vm__power_state="running").count()

    def overtaken(self, pool: Any) -> int:
        """How many got one of those made later although somebody waited since more than a second before them."""
        from broker.events.models import Event
        from pools.models import Assignment

        joined = dict(Event.objects.filter(kind="pool.queue.joined").values_list("actor_name", "at"))
        rows = Assignment.objects.filter(pool=pool, user__username__in=joined).order_by("since")
        latest, count = None, 0
        for name in reversed(list(rows.values_list("user__username", flat=True))):
            if latest is not None and (joined[name] - latest).total_seconds() > 1:
                count += 1
            latest = joined[name] if latest is None else min(latest, joined[name])
        return count

    def check(self, pool: Any, people: list[Person]) -> None:
        """Everybody has one, nobody another's."""
        from pools.models import Desktop

        held = {str(pk): name for pk, name in Desktop.objects.filter(pool=pool, holder__isnull=False).values_list(
            "pk", "holder__username"
        )}  # fmt: skip
        assert len({person.desktop for person in people}) == len(people), "a desktop was given twice"
        for person in people:
            assert held[person.desktop] == person.name, f"{person.name} was shown another's desktop"


def backend() -> None:
    """Worker, scheduler and monitor until the standard input ends; this process has the simulated host."""
    import django

    django.setup()
    from broker.virt import hosts, specs
    from broker.virt.models import Host, TemplateVersion
    from portal.processes.scheduler import scheduler
    from portal.processes.together import MonitorThread
    from portal.processes.worker import workers

    version = TemplateVersion.objects.select_related("storage").get()
    host, storage = hosts.connection(Host.objects.get()), specs.storage_spec(version.storage)
    host.ensure_storage(storage)
    host.create_volume(storage, version.volume, capacity=version.size_bytes)
    parts = [*workers(), scheduler(), MonitorThread()]
    for part in parts:
        part.start()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


def bare_cpu(slapd: Any, names: list[str]) -> float:
    """Milliseconds of a core that an LDAP bind and the insert of a session cost the serving process."""
    os.environ.update(BENCH_LDAP=slapd.tls_url, BENCH_LDAP_CA=str(slapd.folder / "ca.pem"))
    server = serve("tests.bench.bare:application", BARE_PORT, pinned=False)

    async def one(gate: asyncio.Semaphore, name: str) -> None:
        async with gate:
            browser = Browser(BARE_PORT)
            status, _, text = await browser.ask("POST", "/bare-sign-in", f"username={name}&password={PASSWORD}")
            assert status == 200, text[:500]
            browser.close()

    async def all_of_them(some: list[str]) -> None:
        gate = asyncio.Semaphore(8)
        await asyncio.gather(*(one(gate, name) for name in some))

    try:
        wait_for(BARE_PORT)
        asyncio.run(all_of_them(names[:WARM]))
        before = cpu_seconds(server.pid)
        asyncio.run(all_of_them(names))
        return (cpu_seconds(server.pid) - before) * 1000 / len(names)
    finally:
        server.terminate()
        server.wait(20)


def measure(*, people: int, ready: int, over: float) -> dict[str, Any]:
    import django

    django.setup()
    from broker.access.actor import Actor
    from pools.actions.edit_pool import edit_pool
    from tests.servers import slapd as servers

    with servers.running() as slapd:
        stage = Stage(slapd, people + WARM)
        workers = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.storm", "--backend"], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert workers.stdout and workers.stdout.readline() == b"ready\n"
        webs = [serve("portal.asgi:application", port, pinned=False) for port in PORTS]
        try:
            pool = stage.pool(ready + WARM)
            for port in PORTS:
                wait_for(port)
            bare = [bare_cpu(slapd, stage.names[: min(people, 200)])]
            everybody = [Person(name, str(pool.pk)) for name in stage.names]
            early, crowd = everybody[:WARM], everybody[WARM:]
            errors = asyncio.run(storm(early, PORTS, WARM / 10))
            edit_pool(actor=Actor.system("bench"), pool=pool, size=people + WARM, prestarted=people + WARM)
            before = sum(cpu_seconds(web.pid) for web in webs)
            errors += asyncio.run(storm(crowd, PORTS, over))
            cpu = (sum(cpu_seconds(web.pid) for web in webs) - before) * 1000 / people
            bare.append(bare_cpu(slapd, stage.names[: min(people, 200)]))
        finally:
            for web in webs:
                web.terminate()
                web.wait(20)
            workers.kill()
            workers.wait(20)
        if errors:
            raise RuntimeError(f"{len(errors)} of {people} failed, the first: {errors[0]!r}") from errors[0]
        stage.check(pool, crowd)
        return result_of(crowd, cpu=cpu, bare=statistics.mean(bare), overtaken=stage.overtaken(pool), over=over)


def result_of(crowd: list[Person], *, cpu: float, bare: float, overtaken: int, over: float) -> dict[str, Any]:
    at_once = sorted(person.seconds for person in crowd if not person.queued)
    waited = sorted(person.seconds for person in crowd if person.queued)
    p95 = at_once[int(len(at_once) * 0.95)]
    return {
        "people": len(crowd), "over_seconds": over, "web_processes": len(PORTS), "cores": os.cpu_count(),
        "at_once": len(at_once), "p50_seconds": statistics.median(at_once),
        "p95_seconds": p95, "waited": len(waited), "waited_longest_seconds": waited[-1] if waited else 0.0,
        "overtaken": overtaken, "cpu_ms": cpu, "bare_cpu_ms": bare, "ratio": cpu / bare,
        "phases": {
            name: statistics.median(person.phases[name] for person in crowd if not person.queued)
            for name in ("page", "signed in", "desktop")
        },
        "bar": CPU_BAR, "seconds_bar": SECONDS_BAR, "seconds_met": p95 <= SECONDS_BAR and not overtaken,
        "cpu_met": cpu / bare <= CPU_BAR, "met": p95 <= SECONDS_BAR and not overtaken and cpu / bare <= CPU_BAR,
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    met = {True: "met", False: "MISSED"}
    return "\n".join(
        (
            f"| {result['people']} sign-ins over {result['over_seconds']:.0f} s, "
            f"{result['web_processes']} web processes on {result['cores']} cores | | ratio | bar | |",
            "|---|---|---|---|---|",
            f"| those with a free desktop ({result['at_once']}): p95 (p50) until the ticket, s | "
            f"{result['p95_seconds']:.2f} ({result['p50_seconds']:.2f}) | | ≤ {SECONDS_BAR} | "
            f"{met[result['seconds_met']]} |",
            f"| those who waited ({result['waited']}): the longest, s; overtaken | "
            f"{result['waited_longest_seconds']:.1f}; {result['overtaken']} | | 0 overtaken | |",
            f"| of a core for each, against {result['bare_cpu_ms']:.1f} ms for bind and session | "
            f"{result['cpu_ms']:.1f} ms | {result['ratio']:.1f} | ≤ {CPU_BAR:.0f} | {met[result['cpu_met']]} |",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the people in a tenth of the time")
    parser.add_argument("--backend", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    if options.backend:
        backend()
    if not os.environ.get("BERTH_DATABASE_URL"):
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as scratch:
            environment = {**os.environ, "BERTH_DATA_DIR": scratch, "BERTH_LISTEN": "127.0.0.1:80", "BERTH_DEBUG": "0"}
            environment |= {"BERTH_ORIGINS": '["http://127.0.0.1"]', "BERTH_LOG_LEVEL": "WARNING"}
            here = [sys.executable, "-m", "tests.bench.storm", *sys.argv[1:]]
            subprocess.run(
                [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"], env=environment, cwd=ROOT
            )
            command = [sys.executable, "-m", "tests.servers.postgres", "--", *here]
            return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    scale = 10 if options.quick else 1
    result = measure(people=1000 // scale, ready=800 // scale, over=55.0 / scale)
    print(table(result))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(result, indent=1))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
