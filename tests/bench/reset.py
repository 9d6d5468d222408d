"""How long a stateless desktop that was given back takes until the next one can have it, without a boot.

    python -m tests.lab.cage -- python -m tests.bench.reset [--quick]

A pool on a private libvirtd, none of it prestarted. Each desktop is taken, runs, and is given back: its machine goes
off, its disk is made afresh from the template, and it is free again. The time holds all of that: what the pool notices,
the job and its steps, by the worker threads of one process over SQLite. The baseline is a shell with `virsh destroy`,
`rm` and `qemu-img create` on a machine of the same kind.
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

from tests.bench.clones import Bench
from tests.bench.report import table

BAR = 1.0
SIZE = 3
PATIENCE = 120.0
SCRIPT = """
set -e
virsh -q -c "$URI" destroy "$NAME" > /dev/null
rm "$DISK"
qemu-img create -q -f qcow2 -F qcow2 -b "$IMAGE" "$DISK"
"""


class Resets(Bench):
    """A pool in which nothing waits running; each desktop can be taken and given back."""

    def fill(self) -> None:
        from broker.access.actor import Actor
        from pools.actions.create_pool import create_pool

        self.actor = Actor.for_user(self.world.root)
        self.pool = create_pool(
            actor=self.actor, name="bench", template=self.world.template, storage=self.world.storage, size=SIZE,
            max_per_user=SIZE,
        )  # fmt: skip
        self._until(lambda: self._free(self.pool) == SIZE)

    def taken(self) -> Any:
        """A desktop that runs and is ours."""
        from pools.actions.allocate import allocate
        from pools.models import Desktop

        desktop = allocate(actor=self.actor, pool=self.pool).desktop
        rows = Desktop.objects.filter(pk=desktop.pk, vm__power_state="running")
        self._until(lambda: rows.exists() and not self._busy(desktop.pk))
        return Desktop.objects.select_related("vm", "pool", "holder").get(pk=desktop.pk)

    def given_back(self) -> float:
        """Seconds from giving it back until it is free."""
        from pools.actions.release import release

        desktop = self.taken()
        began = time.perf_counter()
        release(actor=self.actor, desktop=desktop)
        self._until(lambda: self._free(self.pool) == SIZE)
        seconds = time.perf_counter() - began
        power = {seen.uuid: seen.power.value for seen in self.host.observe()}[str(desktop.pk)]
        assert power == "off", f"it is {power}"
        return seconds

    def by_shell(self) -> float:
        """Seconds of the same by hand, on a machine of the same kind that Berth does not know."""
        disk, image = self.loops / "by-hand.qcow2", self.folder / self.world.version.volume
        definition = self.loops / "by-hand.xml"
        text = self._domain().read_text().replace("@NAME@", "by-hand").replace("@DISK@", str(disk))
        definition.write_text(text)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk)]
        subprocess.run(create, check=True)
        for words in (["define", str(definition)], ["start", "by-hand"]):
            subprocess.run(["virsh", "-q", "-c", self.uri, *words], check=True, stdout=subprocess.DEVNULL)
        environment = {**os.environ, "URI": self.uri, "NAME": "by-hand", "DISK": str(disk), "IMAGE": str(image)}
        began = time.perf_counter()
        subprocess.run(["sh", "-c", SCRIPT], env=environment, check=True)
        seconds = time.perf_counter() - began
        subprocess.run(["virsh", "-q", "-c", self.uri, "undefine", "by-hand"], check=True, stdout=subprocess.DEVNULL)
        disk.unlink()
        return seconds

    @staticmethod
    def _busy(pk: Any) -> bool:
        from broker.jobs.models import Job
        from broker.jobs.states import ACTIVE

        return Job.objects.filter(subject_kind="vm", subject_id=pk, state__in=ACTIVE).exists()

    @staticmethod
    def _until(there: Any) -> None:
        limit = time.monotonic() + PATIENCE
        while not there():
            if time.monotonic() > limit:
                raise RuntimeError("nothing comes of it")
            time.sleep(0.01)


def measure(*, rounds: int) -> list[dict[str, Any]]:
    from tests.lab.host import LabHost

    with tempfile.TemporaryDirectory(prefix="reset-", dir="/tmp") as base:
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
            bench = Resets(host.uri, folder)
            consumers = workers()
            helpers = [*consumers, scheduler(), MonitorThread()]
            for helper in helpers:
                helper.start()
            for worker in consumers:
                worker.ready.wait(20)
            bench.fill()
            ours, shell = [], []
            for _ in range(rounds):
                shell.append(bench.by_shell())
                ours.append(bench.given_back())
            for helper in helpers:
                helper.stop()
    return [line(ours, shell)]


def line(ours: list[float], shell: list[float]) -> dict[str, Any]:
    middle = statistics.median(ours)
    return {
        "what": "Reset of a stateless desktop that was given back, until it is free, without a boot: median (longest)",
        "ours": f"{middle:.2f} s ({max(ours):.2f} s)", "baseline": f"by shell {statistics.median(shell):.2f} s",
        "value": f"{middle:.2f} s", "bar": f"≤ {BAR:g} s", "met": middle <= BAR,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three rounds")
    options = parser.parse_args()
    lines = measure(rounds=3 if options.quick else 15)
    print(table(lines))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"bars": lines}, indent=1))
    return 0 if all(one["met"] for one in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
