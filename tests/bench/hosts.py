"""A hundred hosts with 5,000 machines: full passes, an idle manager, and lists, search and placement beside few.

    python -m tests.bench.hosts [--quick]

The hosts are connections of libvirt's own test driver (test:///…), each with fifty running machines; our driver speaks
to them as to others, but for what that driver lacks: it tells no counters, so no load is kept; it has neither
capabilities nor events. A full pass is compared with the same libvirt calls alone, over open connections, in turns. The
idle manager is the whole of `manage.py serve` over SQLite, with nobody signed in; beside it a bare process that makes
those calls at the same interval. Both hold the hosts' state, which the test driver keeps in the caller's memory.
Prints a Markdown table; JSON where BENCH_JSON says.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
HOSTS, EACH, FEW = 100, 50, 2
PASS_BAR, CPU_BAR, MEMORY_BAR, LIST_BAR, PLACE_BAR = 2.0, 2.0, 1000.0, 1.5, 100.0
NODE = """<node><cpu><mhz>3000</mhz><model>x86_64</model><active>32</active><nodes>1</nodes><sockets>1</sockets>
<cores>32</cores><threads>1</threads></cpu><memory>268435456</memory>{}</node>"""
MACHINE = """<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>{name}</name>
<uuid>{uuid}</uuid><memory>1048576</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/disks/{name}.qcow2'/>
<target dev='vda' bus='virtio'/></disk><interface type='network'><mac address='{mac}'/><source network='default'/>
<model type='virtio'/></interface></devices><test:runstate>1</test:runstate></domain>"""


def machine_id(number: int) -> UUID:
    return UUID(int=0x4000_8000_0000_0000_0000 + number)


def write_hosts(folder: Path, hosts: int) -> None:
    """The state of each host, as libvirt's test driver reads it."""
    for host in range(hosts):
        machines = (
            MACHINE.format(
                name=f"vm-{number}", uuid=machine_id(number), mac=f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"
            )
            for number in range(host * EACH, (host + 1) * EACH)
        )
        (folder / f"host-{host}.xml").write_text(NODE.format("".join(machines)))


def open_host(uri: str) -> Any:
    """Our driver's connection to a host of the test driver, which its own `open` would not take."""
    import libvirt

    from broker.virt.driver import HostFacts
    from broker.virt.drivers.libvirt.host import LibvirtHost
    from broker.virt.drivers.libvirt.lines import Lines

    class TestHost(LibvirtHost):
        def facts(self) -> HostFacts:
            return HostFacts(
                uuid=str(UUID(int=abs(hash(self.uri)))), hostname="test", hypervisor="test", manager="test", cpus=32,
                cpu_model="x86_64", memory=256 << 30, memory_free=200 << 30,
                emulated=False,
            )  # fmt: skip

        def subscribe(self, callback: Any) -> Any:
            return lambda: None

    host = TestHost(libvirt.open(uri), uri)
    host.lines = Lines(libvirt.open(uri), lambda: libvirt.open(uri))
    return host


def bare_pass(connection: Any) -> int:
    """What a full pass asks libvirt, and nothing else."""
    import libvirt

    from broker.virt.drivers.libvirt import observe

    saved = libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE | libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE
    connection.listAllDomains(saved)
    told = connection.getAllDomainStats(observe._STATE, observe._NO_WAIT)
    connection.getAllDomainStats(observe._COUNTERS, observe._RUNNING | observe._NO_WAIT)
    return sum(len(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) for domain, _ in told)


# -- the processes that are measured ---------------------------------------------------------------------------------


def make_rows(folder: Path, hosts: int) -> Any:
    """The database with all rows, as it is when every host was seen."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    call_command("migrate", verbosity=0)
    from broker.virt.models import Disk, Host, VirtualMachine
    from tests.world import World

    world = World.build(driver="libvirt", uri=f"test://{folder}/host-0.xml")
    others = (
        Host(
            cluster=world.cluster, name=f"host-{number + 1}", driver="libvirt", uri=f"test://{folder}/host-{number}.xml",
            cpus=32, memory_bytes=256 << 30, memory_free_bytes=200 << 30, graphics=["vnc"],
        )
        for number in range(1, hosts)
    )  # fmt: skip
    rows = [world.host, *Host.objects.bulk_create(others)]
    machines = VirtualMachine.objects.bulk_create(
        VirtualMachine(
            id=machine_id(number), cluster=world.cluster, host=rows[number // EACH], template_version=world.version,
            name=f"vm-{number}", state="ready", power_state="running", memory_mib=1024,
            guest={"os_name": "Debian", "addresses": ["192.0.2.7"]},
        )
        for number in range(hosts * EACH)
    )  # fmt: skip
    Disk.objects.bulk_create(
        Disk(vm=vm, storage=world.storage, volume=f"{vm.name}.qcow2", size_bytes=4 << 30) for vm in machines
    )
    return world


def passes(folder: Path, rounds: int) -> dict[str, Any]:
    """Full passes over all hosts and the bare calls in turns: seconds of each, and the rows that passes write."""
    make_rows(folder, HOSTS)
    import libvirt
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from broker.virt.models import Host
    from broker.virt.monitor.watch import Watch

    hosts = list(Host.objects.order_by("name"))
    lines = {host.pk: open_host(host.uri) for host in hosts}
    bares = [libvirt.open(host.uri) for host in hosts]
    watches = [Watch(host, connect=lambda host: lines[host.pk]) for host in hosts]

    def ours() -> None:
        for watch in watches:
            watch._pass(lines[watch.host.pk])

    ours()
    with CaptureQueriesContext(connection) as queries:
        ours()
    beats = 'UPDATE "virt_host" SET "observed_at"'  # when it was looked at: the one thing that did change
    reading = ("SELECT", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", beats)
    told = [one["sql"] for one in queries if not one["sql"].startswith(reading)]
    taken: dict[str, list[float]] = {"ours": [], "bare": [], "ours_cpu": [], "bare_cpu": []}
    for _ in range(rounds):
        for name, work in (("bare", lambda: [bare_pass(one) for one in bares]), ("ours", ours)):
            began, spent = time.perf_counter(), time.process_time()
            work()
            taken[name].append(time.perf_counter() - began)
            taken[f"{name}_cpu"].append(time.process_time() - spent)
    return {
        "best": {name: min(times) for name, times in taken.items()}, "statements": len(queries), "written": len(told),
    }  # fmt: skip


def answers(folder: Path, hosts: int, rounds: int) -> dict[str, float]:
    """Milliseconds of a list, a search and a placement, the best of some."""
    world = make_rows(folder, hosts)
    from django.db import transaction
    from django.test import Client

    from broker.core import clock
    from broker.virt.models import Host, VirtualMachine
    from broker.virt.placement.gather import place

    Host.objects.update(observed_at=clock.now(), error="")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(world.root)
    new = VirtualMachine.objects.create(cluster=world.cluster, name="new", state="creating", memory_mib=1024)

    def page(address: str) -> None:
        answer = client.get(address)
        assert answer.status_code == 200 and b"vm-" in answer.content, address

    def placed() -> None:
        with transaction.atomic():
            assert place(new).host

    asked = {
        "list": lambda: page("/manage/machines/?sort=-name&q=vm-"), "search": lambda: page("/manage/machines/?q=vm-"),
        "api": lambda: page("/api/v1/vms/?search=vm-"), "place": placed,
    }  # fmt: skip
    best = {}
    for name, ask in asked.items():
        times = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1000)
        best[name] = min(times[1:])
    return best


def poll(folder: Path, every: float) -> None:
    """The bare loop: each host is asked every so many seconds, all spread over the time."""
    import libvirt

    connections = [libvirt.open(f"test://{folder}/host-{number}.xml") for number in range(HOSTS)]
    print("up", flush=True)
    begin = time.monotonic()
    for turn in range(10**9):
        time.sleep(max(begin + turn * every / HOSTS - time.monotonic(), 0.0))
        bare_pass(connections[turn % HOSTS])


def manager() -> None:
    """manage.py serve, whose driver for libvirt opens hosts of the test driver."""
    import django

    django.setup()
    from django.core.management import call_command

    from broker.virt.drivers import libvirt as driver

    driver.connect = lambda uri, *, timeout=5.0: open_host(uri)  # type: ignore[assignment]
    call_command("serve", no_libvirtd=True)


# -- measuring -------------------------------------------------------------------------------------------------------


def run(environment: dict[str, str], *words: str) -> Any:
    """The JSON that a process of ours prints at its end."""
    command = [sys.executable, "-m", "tests.bench.hosts", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def resting(process: subprocess.Popen[bytes], settle: float, seconds: float) -> dict[str, float]:
    """What a process and its children take while nothing happens: of a core, and memory."""
    from tests.bench.idle import cpu, memory, tree

    time.sleep(settle)
    early = tree(process.pid)
    before, began = {pid: cpu([pid]) for pid in early}, time.perf_counter()
    time.sleep(seconds)
    pids = [pid for pid in tree(process.pid) if pid in before]
    used = sum(cpu([pid]) - before[pid] for pid in pids) / (time.perf_counter() - began)
    return {"cores": used, "pss_mib": memory(pids, "Pss"), "processes": len(pids)}


def idle(folder: Path, environment: dict[str, str], *, settle: float, seconds: float) -> dict[str, Any]:
    run(environment, "--passes", str(folder), "--rounds", "1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = {}
    for name, words in (("bare", ["--poll", str(folder)]), ("ours", ["--manager"])):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.hosts", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
            env=environment | {"BERTH_LISTEN": f"127.0.0.1:{port}"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if name == "ours":
                _until_it_answers(process, f"http://127.0.0.1:{port}/healthz")
            found[name] = resting(process, settle, seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return found


def _until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError("the manager does not answer")


def bars(told: dict[str, Any]) -> list[dict[str, Any]]:
    many = f"{HOSTS} hosts, {HOSTS * EACH:,} machines"
    best, rest, few, all_of_them = told["passes"]["best"], told["idle"], told["few"], told["many"]
    ratio, cores = best["ours"] / best["bare"], rest["ours"]["cores"] / rest["bare"]["cores"]
    memory = rest["ours"]["pss_mib"]
    lines = [
        {
            "what": f"Full pass, nothing changed; {many}, against the same libvirt calls alone",
            "ours": f"{best['ours']:.2f} s ({best['ours_cpu']:.2f} s of a core)",
            "baseline": f"{best['bare']:.2f} s ({best['bare_cpu']:.2f} s)", "value": f"{ratio:.2f}",
            "bar": f"≤ {PASS_BAR:g}", "met": ratio <= PASS_BAR,
        },
        {
            "what": f"The same: rows written, but for when a host was seen ({told['passes']['statements']} statements)",
            "ours": str(told["passes"]["written"]), "baseline": "", "value": f"{told['passes']['written']} rows",
            "bar": "0 rows", "met": not told["passes"]["written"],
        },
        {
            "what": f"Idle manager, all its processes; {many}, against a bare loop at the same interval: of a core",
            "ours": f"{100 * rest['ours']['cores']:.1f} %", "baseline": f"{100 * rest['bare']['cores']:.1f} %",
            "value": f"{cores:.2f}", "bar": f"≤ {CPU_BAR:g}", "met": cores <= CPU_BAR,
        },
        {
            "what": "The same: memory (PSS), with the state of the hosts in it",
            "ours": f"{memory:.0f} MiB", "baseline": f"{rest['bare']['pss_mib']:.0f} MiB", "value": f"{memory:.0f} MiB",
            "bar": f"≤ {MEMORY_BAR:g} MB", "met": memory * 1.048576 <= MEMORY_BAR,
        },
    ]  # fmt: skip
    names = {"list": "Sorted list", "search": "Search", "api": "Search by the API"}
    lines += [
        {
            "what": f"{names[name]} of machines; {many}, against {FEW} hosts, {FEW * EACH} machines",
            "ours": f"{all_of_them[name]:.1f} ms", "baseline": f"{few[name]:.1f} ms",
            "value": f"{all_of_them[name] / few[name]:.2f}", "bar": f"≤ {LIST_BAR:g}",
            "met": all_of_them[name] <= few[name] * LIST_BAR,
        }
        for name in names
    ]  # fmt: skip
    return [
        *lines,
        {
            "what": f"Placing one machine; {many}, against {FEW} hosts", "ours": f"{all_of_them['place']:.1f} ms",
            "baseline": f"{few['place']:.1f} ms", "value": f"{all_of_them['place']:.1f} ms",
            "bar": f"≤ {PLACE_BAR:g} ms", "met": all_of_them["place"] <= PLACE_BAR,
        },
    ]  # fmt: skip


def measure(*, quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        folder = Path(name)
        write_hosts(folder, HOSTS)

        def fresh(data: str) -> dict[str, str]:
            (folder / data).mkdir()
            return _environment(folder / data)

        rounds = "2" if quick else "7"
        return {
            "passes": run(fresh("passes"), "--passes", name, "--rounds", rounds),
            "few": run(fresh("few"), "--answers", name, "--hosts", str(FEW), "--rounds", rounds),
            "many": run(fresh("many"), "--answers", name, "--hosts", str(HOSTS), "--rounds", rounds),
            "idle": idle(folder, fresh("idle"), settle=20 if quick else 40, seconds=20 if quick else 30),
        }


def _environment(data: Path) -> dict[str, str]:
    others = {"BERTH_DATABASE_URL", "BERTH_BROKER_URL", "BERTH_REDIS_URL"}
    return {name: value for name, value in os.environ.items() if name not in others} | {
        "BERTH_DATA_DIR": str(data), "BERTH_LISTEN": "127.0.0.1:80", "BERTH_DEBUG": "0",
        "DJANGO_SETTINGS_MODULE": "broker.settings", "PYTHONHASHSEED": "0",
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a shorter rest")
    for word in ("--passes", "--answers", "--poll"):
        parser.add_argument(word, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--manager", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--hosts", type=int, default=HOSTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.passes or options.answers:
        told = passes(options.passes, options.rounds) if options.passes else answers(
            options.answers, options.hosts, options.rounds
        )  # fmt: skip
        print(json.dumps(told))
        return 0
    if options.poll:
        from broker.settings import env

        poll(options.poll, env.observe_every)
    if options.manager:
        manager()
        return 0
    told = measure(quick=options.quick)
    told["bars"] = bars(told)
    from tests.bench.report import table

    print(table(told["bars"]))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(told, indent=1))
    return 0 if all(line["met"] for line in told["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
