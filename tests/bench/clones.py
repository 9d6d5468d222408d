"""A pool of 50 linked clones until all are defined, beside a shell loop of qemu-img and virsh, in the same run.

    python -m tests.lab.cage -- python -m tests.bench.clones [--quick]

Both sides make qcow2 overlays on the same image and define the same kind of machine on the same private libvirtd.
Berth's side is the action and everything behind it: rows, jobs, events, and worker, scheduler and monitor threads
of one process over SQLite, as in the one-process mode. Rounds are interleaved, the best ones compared. The bar:
not slower.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BAR = 1.0
SCRIPT = """
set -e
for number in $(seq 1 "$COUNT"); do
    qemu-img create -q -f qcow2 -F qcow2 -b "$IMAGE" "$FOLDER/loop-$number.qcow2"
    sed -e "s|@NAME@|loop-$number|" -e "s|@DISK@|$FOLDER/loop-$number.qcow2|" "$DOMAIN" > "$FOLDER/loop-$number.xml"
    virsh -q -c "$URI" define "$FOLDER/loop-$number.xml" > /dev/null
done
"""


class Bench:
    """A world over a private libvirtd, with a template of one gigabyte."""

    def __init__(self, uri: str, folder: Path):
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from broker.virt import hosts, specs
        from tests.world import World

        self.uri, self.folder = uri, folder
        self.world = World.build(driver="libvirt", uri=uri, path=str(folder))
        self.world.network.subnet = "192.0.2.0/24"
        self.world.network.save(update_fields=["subnet"])
        self.host = hosts.connection(self.world.host)
        storage = specs.storage_spec(self.world.storage)
        self.host.ensure_storage(storage)
        self.host.create_volume(storage, self.world.version.volume, capacity=2**30)
        self.world.version.size_bytes = 2**30
        self.world.version.save(update_fields=["size_bytes"])
        self.loops = folder / "loops"
        self.loops.mkdir()

    def shell(self, count: int) -> float:
        """Seconds of the loop; what it made is removed afterwards."""
        environment = {
            **os.environ, "COUNT": str(count), "FOLDER": str(self.loops), "URI": self.uri,
            "IMAGE": str(self.folder / self.world.version.volume), "DOMAIN": str(self._domain()),
        }  # fmt: skip
        began = time.perf_counter()
        subprocess.run(["sh", "-c", SCRIPT], env=environment, check=True)
        taken = time.perf_counter() - began
        for seen in self.host.observe():
            if seen.name.startswith("loop-"):
                self.host.undefine(seen.uuid)
        for left in self.loops.iterdir():
            left.unlink()
        return taken

    def _domain(self) -> Path:
        """The definition of one of Berth's machines, with its name and disk left open."""
        from lxml import etree

        from broker.virt import specs
        from broker.virt.driver import DiskSpec, MachineSpec

        path = self.folder / "domain.xml"
        if path.exists():
            return path
        uuid = "4be0e1d6-0000-4000-8000-000000000001"
        disk = DiskSpec(path=specs.volume_path(self.world.storage, "x.qcow2"), format="qcow2", target="vda")
        self.host.define(MachineSpec(uuid=uuid, name="model", vcpus=1, memory_mib=512, disks=(disk,)))
        root = etree.fromstring(self.host.definition(uuid), etree.XMLParser(resolve_entities=False))
        self.host.undefine(uuid)
        for tag in ("uuid", "metadata"):
            for element in root.findall(tag):
                root.remove(element)
        root.find("name").text = "@NAME@"
        root.find("devices/disk[@device='disk']/source").set("file", "@DISK@")
        path.write_bytes(etree.tostring(root))
        return path

    def berth(self, count: int) -> float:
        """Seconds from asking for the pool until all its machines are defined; the pool is deleted afterwards."""
        from broker.access.actor import Actor
        from pools.actions.create_pool import create_pool
        from pools.actions.delete_pool import delete_pool
        from pools.models import Pool

        actor, world = Actor.for_user(self.world.root), self.world
        began = time.perf_counter()
        pool = create_pool(actor=actor, name="bench", template=world.template, storage=world.storage, size=count)
        while self._free(pool) < count:
            if time.perf_counter() - began > 120:
                raise RuntimeError("the pool is not filled after two minutes")
            time.sleep(0.02)
        taken = time.perf_counter() - began
        defined = sum(seen.name.startswith("bench-") for seen in self.host.observe())
        assert defined == count, f"{defined} of {count} are defined"
        delete_pool(actor=actor, pool=pool)
        while Pool.objects.filter(pk=pool.pk).exists():
            time.sleep(0.05)
        return taken

    @staticmethod
    def _free(pool: Any) -> int:
        """How many are free, asked as cheaply as can be: the one who asks shares the process with those who work."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM pools_desktop WHERE pool_id = %s AND state = 'free'", [pool.pk.hex])
            return int(cursor.fetchone()[0])


def measure(*, count: int, rounds: int) -> dict[str, Any]:
    from tests.lab.host import LabHost

    with tempfile.TemporaryDirectory(prefix="clones-", dir="/tmp") as base:
        Path(base).chmod(0o755)
        os.environ["BERTH_DATA_DIR"] = f"{base}/data"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
        with LabHost(Path(base), "host") as host:
            import django

            django.setup()
            from portal.processes.scheduler import scheduler
            from portal.processes.together import MonitorThread
            from portal.processes.worker import workers

            folder = Path(base) / "storage"
            folder.mkdir()
            bench = Bench(host.uri, folder)
            consumers = workers()
            helpers = [*consumers, scheduler(), MonitorThread()]
            for helper in helpers:
                helper.start()
            for worker in consumers:
                worker.ready.wait(20)
            shell, berth = [], []
            for _ in range(rounds):
                shell.append(bench.shell(count))
                berth.append(bench.berth(count))
            for helper in helpers:
                helper.stop()
    ratio = min(berth) / min(shell)
    return {
        "count": count, "shell_seconds": shell, "berth_seconds": berth, "ratio": ratio, "bar": BAR, "met": ratio <= BAR,
        "median_ratio": statistics.median(berth) / statistics.median(shell),
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    return "\n".join(
        (
            f"| {result['count']} linked clones until defined | seconds | ratio | bar | |",
            "|---|---|---|---|---|",
            f"| shell loop of qemu-img create and virsh define | {min(result['shell_seconds']):.2f} | 1 | | |",
            f"| Berth, a pool | {min(result['berth_seconds']):.2f} | {result['ratio']:.2f} | ≤ {BAR} "
            f"| {'met' if result['met'] else 'MISSED'} |",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer clones, one round")
    options = parser.parse_args()
    result = measure(count=10 if options.quick else 50, rounds=1 if options.quick else 3)
    print(table(result))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(result, indent=1))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
