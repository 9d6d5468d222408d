"""Two managers over three real hosts with power management, of which one dies while it cuts a host's power.

    python -m tests.virt.ha.two_managers FOLDER

Run by test_two_managers_lab.py with PostgreSQL and Redis in its environment, in the cage. One manager's clock is two
hours ahead. Ends with an AssertionError, or prints what took how long.
"""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")

import django

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
RULES = {
    "detect_seconds": 5, "startup_seconds": 0, "silent_share_percent": 100, "quiet_seconds": 0, "fencing": True,
    "restart_every_seconds": 5, "retry_seconds": 5,
}  # fmt: skip


class Manager:
    """`ahead`: hours by which its machine's clock is wrong."""

    def __init__(self, log: Path, *, ahead: int = 0):
        environment = dict(os.environ)
        if ahead:
            environment |= {
                "LD_PRELOAD": str(FAKETIME), "FAKETIME": f"+{ahead}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
        with log.open("wb") as out:
            words = [sys.executable, "-m", "tests.virt.ha.manager"]
            self.process = subprocess.Popen(
                words, env=environment, stdout=subprocess.PIPE, stderr=out, start_new_session=True
            )

    def wait(self) -> None:
        assert self.process.stdout and self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """With all it has begun, as when its machine loses power."""
        os.killpg(self.process.pid, 9)
        self.process.wait()


def report() -> str:
    from broker.jobs.models import Job
    from broker.virt.models import Recovery

    jobs = [(one.plan, one.state, str(one.message), one.cause) for one in Job.objects.all()]
    return f"{jobs}\n{list(Recovery.objects.values_list('state', 'host__name', 'target__name', 'reason'))}"


def main(base: Path) -> None:
    django.setup()
    from broker.virt.models import Host
    from tests.lab.lab import Lab
    from tests.lab.redfish import PowerStrip
    from tests.virt.ha import failover

    failover.RULES = RULES
    with ExitStack() as stack, Lab(base / "lab", 3) as lab:
        strip = PowerStrip(lab)
        cluster = failover.Failover(lab, base, managing=False)
        managers = [Manager(base / "ahead.log", ahead=2), Manager(base / "other.log")]
        try:
            for manager in managers:
                manager.wait()
            cluster.until(lambda: Host.objects.filter(error="", observed_at__isnull=False).count() == 3, 60)
            try:
                scenes(cluster, strip, managers, stack)
            except AssertionError:
                print(report())
                raise
        finally:
            for manager in managers:
                if manager.process.poll() is None:
                    manager.kill()
            strip.close()
            cluster.close()


def scenes(cluster: Any, strip: Any, managers: list[Manager], stack: ExitStack) -> None:
    from broker.events.models import Event
    from broker.jobs.models import Job
    from broker.virt.actions.create_fence_device import create_fence_device
    from broker.virt.models import Host, HostHealth, VirtualMachine
    from tests.virt.actions.stage import SYSTEM
    from tests.virt.outside import Watcher, defined_on

    for name, row in cluster.rows.items():
        create_fence_device(actor=SYSTEM, host=row, **strip.device(name))
    vm = cluster.machine()
    VirtualMachine.objects.update(leased=False)  # power management alone may prove that a copy is dead
    watcher = stack.enter_context(Watcher(str(vm.pk), cluster.lab.hosts.values()))

    # a host loses power; the manager that cuts it off dies in the middle of that, and the other goes on, once
    first = cluster.where(vm)
    strip.ways[first] = "stuck"
    strip.slow.add(first)
    began = time.monotonic()
    cluster.lab.hosts[first].crash()
    strip.pretend_on.add(first)
    cluster.until(lambda: first in strip.stuck, 60)
    job = Job.objects.get(plan="host.fence")
    dead = next(one for one in managers if f":{one.process.pid}:" in job.worker)
    dead.kill()
    strip.ways[first] = "ok"
    killed = time.monotonic()
    cluster.until(lambda: cluster.where(vm) not in ("", first), 90)
    print(f"killed after {killed - began:.1f} s; runs elsewhere {time.monotonic() - killed:.1f} s later")
    assert [kind for name, kind in strip.orders if name == first][:1] == ["ForceOff"]
    assert strip.orders.count((first, "ForceOff")) == 1
    assert Job.objects.filter(plan="host.fence").count() == 1
    assert HostHealth.objects.get(host=cluster.rows[first]).epoch == 1

    # it is given power again and comes back with its old copy, which goes: nothing starts there by itself
    cluster.until(lambda: (first, "On") in strip.orders, 30)
    strip.boot(first)
    cluster.until(lambda: cluster.lab.hosts[first].on and not Host.objects.get(pk=cluster.rows[first].pk).error, 60)
    cluster.until(lambda: HostHealth.objects.get(host=cluster.rows[first]).lost_at is None, 60)
    cluster.until(lambda: not cluster.open_recoveries(), 60)
    second = cluster.where(vm)
    cluster.until(lambda: defined_on(str(vm.pk), cluster.lab.hosts.values()) == [second], 90)
    assert second not in ("", first)
    assert Event.objects.filter(kind="host.fenced").count() == 1

    # power management says yes and does nothing: the lock on the disk refuses the second start, and somebody is called
    strip.ways[second] = "lies"
    cluster.lab.hosts[second].cut()
    cluster.until(lambda: Event.objects.filter(kind="host.fence-unverified").exists(), 90)
    assert (cluster.where(vm), watcher.now) == (second, 1), watcher.most
    cluster.lab.hosts[second].heal()
    strip.ways[second] = "ok"
    cluster.until(lambda: not Host.objects.get(pk=cluster.rows[second].pk).error, 60)
    cluster.until(lambda: at(vm) == ("running", second) and not cluster.open_recoveries(), 60)
    assert cluster.where(vm) == second
    assert watcher.most == 1 and watcher.samples > 100, (watcher.most, watcher.samples)


def at(vm: Any) -> tuple[str, str]:
    """How and where the machine is, by Berth's word."""
    row = type(vm).objects.select_related("host").get(pk=vm.pk)
    return row.power_state, row.host.name if row.host else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
