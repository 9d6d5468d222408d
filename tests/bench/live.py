"""From `virsh destroy` to the changed row and to the news on the channel layer, beside libvirt's own callback.

    python -m tests.lab.cage -- python -m tests.bench.live [--rounds N]

Prints a Markdown table and writes JSON where BENCH_JSON says. All times begin just before virsh is started, so
they hold virsh's own start too; the raw callback, in the same process and round, is what could be had at best.
The monitor, the database (SQLite) and the receiver of the news share this process, as under `manage.py serve`.
"""

import argparse
import asyncio
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TARGET_MS = 500.0
PATIENCE = 20.0


class Marks:
    """When which of the three things happened to the machine, by the steady clock."""

    def __init__(self) -> None:
        self._queues: dict[str, queue.SimpleQueue[float]] = {}

    def at(self, what: str) -> "queue.SimpleQueue[float]":
        return self._queues.setdefault(what, queue.SimpleQueue())

    def note(self, what: str) -> None:
        self.at(what).put(time.perf_counter())

    def take(self, what: str) -> float:
        return self.at(what).get(timeout=PATIENCE)

    def clear(self) -> None:
        for one in self._queues.values():
            while not one.empty():
                one.get()


def listen_raw(uri: str, machine: str, marks: Marks) -> Any:
    """A libvirt connection of its own that notes when its callback hears of a stop."""
    import libvirt

    from broker.virt.drivers.libvirt.connection import open_connection

    connection = open_connection(uri, 10)

    def heard(connection: Any, domain: Any, event: int, detail: int, opaque: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and domain.UUIDString() == machine:
            marks.note("callback")

    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, heard, None)
    return connection


def listen_news(machine: str, marks: Marks) -> None:
    """Note news of the machine as a browser's consumer would get them, from an event loop of its own."""
    from channels.layers import get_channel_layer

    from broker.events.outbox import GROUP

    ready = threading.Event()

    async def receive() -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        ready.set()
        while True:
            message = await layer.receive(channel)
            if any((one["id"], one["change"]) == (machine, "power") for one in message["changes"]):
                marks.note("news")

    threading.Thread(target=lambda: asyncio.run(receive()), daemon=True).start()
    ready.wait(PATIENCE)


def define(uri: str, folder: Path, machine: str) -> None:
    """The machine on the host, with the 512-byte guest."""
    from broker.virt.driver import DiskSpec, MachineSpec
    from broker.virt.drivers import load
    from tests.lab import guest

    disk = guest.write_image(folder / "guest.qcow2", image_format="qcow2")
    connection = load("libvirt").connect(uri, timeout=10)
    disks = (DiskSpec(path=str(disk), format="qcow2", target="vda"),)
    connection.define(MachineSpec(uuid=machine, name="bench", vcpus=1, memory_mib=32, disks=disks, mark=machine))
    connection.close()


@contextmanager
def watched(uri: str, machine: str) -> Iterator[None]:
    """A database with the machine, and the monitor as a thread."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from broker.virt.models import Host, VirtualMachine
    from broker.virt.monitor.process import Monitor
    from tests.world import World

    world = World.build()
    Host.objects.update(driver="libvirt", uri=uri)
    VirtualMachine.objects.create(id=machine, name="bench", cluster=world.cluster, host=world.host, state="ready")
    stop = threading.Event()
    thread = threading.Thread(target=Monitor().run, args=(stop,), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)


def wait_for(machine: str, power: str) -> None:
    from broker.virt.models import VirtualMachine

    deadline = time.monotonic() + PATIENCE
    while VirtualMachine.objects.values_list("power_state", flat=True).get(pk=machine) != power:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the machine is not {power}")
        time.sleep(0.01)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds from the start of `virsh destroy` to "callback", "row" and "news", for each round."""
    from tests.lab.host import LabHost

    machine, marks = str(uuid.uuid4()), Marks()
    taken: dict[str, list[float]] = {"callback": [], "row": [], "news": []}
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name, LabHost(Path(name), "host") as host:
        define(host.uri, Path(name), machine)
        with watched(host.uri, machine):
            from broker.events.news import subscribe

            subscribe("vm")(lambda pk, change: marks.note("row") if (pk, change) == (machine, "power") else None)
            listen_news(machine, marks)
            raw = listen_raw(host.uri, machine, marks)
            virsh = ["virsh", "-q", "-c", host.uri]
            for _ in range(rounds):
                subprocess.run([*virsh, "start", machine], check=True)
                wait_for(machine, "running")
                time.sleep(0.2)
                marks.clear()
                began = time.perf_counter()
                subprocess.run([*virsh, "destroy", machine], check=True)
                for what, times in taken.items():
                    times.append((marks.take(what) - began) * 1000)
                wait_for(machine, "off")
            raw.close()
    return taken


def summary(taken: dict[str, list[float]]) -> dict[str, Any]:
    """p50 and p95 of each, and of what Berth adds to the raw callback."""
    taken = {**taken, "added": [news - raw for news, raw in zip(taken["news"], taken["callback"], strict=True)]}
    told = {what: {"p50": statistics.median(times), "p95": _p95(times)} for what, times in taken.items()}
    return {"name": "live", "unit": "ms", "rounds": len(taken["row"]), "target_p95": TARGET_MS, **told}


def _p95(times: list[float]) -> float:
    return sorted(times)[max(-(-len(times) * 95 // 100) - 1, 0)]


def table(result: dict[str, Any]) -> str:
    rows = {
        "callback": "libvirt's own callback (baseline)",
        "row": "row committed",
        "news": "news on the channel layer",
        "added": "what Berth adds to the callback",
    }
    lines = ["| from `virsh destroy` to | p50 ms | p95 ms |", "|---|---|---|"]
    lines += [f"| {text} | {result[what]['p50']:.1f} | {result[what]['p95']:.1f} |" for what, text in rows.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-data-") as data:
        os.environ["BERTH_DATA_DIR"] = data  # before Django reads its settings
        result = summary(measure(options.rounds))
    print(table(result))
    if path := os.environ.get("BENCH_JSON"):
        Path(path).write_text(json.dumps(result, indent=2))
    return 0 if result["news"]["p95"] <= TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
