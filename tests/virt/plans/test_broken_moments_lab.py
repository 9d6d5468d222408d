"""libvirtd killed, and hosts lost, in the very middle of what jobs do on real hosts: one copy, its data.

Rows F14 and F41 of docs/faults.md. The guest keeps a log of its writes with sums (tests/lab/guest.py); what runs is
watched from outside.
"""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections

from broker.jobs.models import Job
from broker.virt import hosts
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import DriverError, PowerState
from broker.virt.migrating import policies
from broker.virt.models import Host, VirtualMachine
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.lab import Lab
from tests.virt.actions.stage import SYSTEM, fresh
from tests.virt.outside import Watcher, defined_on
from tests.virt.plans.test_disks_lab import chain
from tests.world import World

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


class Place:
    """A cluster over two of the laboratory's hosts. `left` is where machines are made."""

    def __init__(self, lab: Lab, *, busily: bool) -> None:
        self.left, self.right = lab.hosts["lab-a"], lab.hosts["lab-b"]
        self.world, self.shared = World.build(driver="libvirt", uri=self.left.tcp_uri, path=str(lab.shared)), lab.shared
        guest.write_image(
            lab.shared / self.world.version.volume, image_format="qcow2", period=1, memory=8, busily=busily
        )
        type(self.world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
        self.world.version.refresh_from_db()
        self.target = Host.objects.create(
            cluster=self.world.cluster, name="right", uri=self.right.tcp_uri, address=self.right.address,
            memory_bytes=64 << 30, memory_free_bytes=64 << 30, graphics=["vnc"], state="maintenance",
        )  # fmt: skip
        self.pool = ThreadPoolExecutor(1)

    def create(self) -> Job:
        """On the left: nothing else is in service."""
        return create_vm(actor=SYSTEM, name=f"m-{time.monotonic_ns()}", version=self.world.version, start=True)

    def migrate(
        self, vm: VirtualMachine, moment: Callable[[], object], deed: Callable[[], None], *, mib: int = 2, **wish
    ) -> Job:
        Host.objects.update(state="active")
        type(self.world.cluster).objects.update(migration={"encrypted": False, "bandwidth_mib": mib})
        return self.during(migrate_vm(actor=SYSTEM, vm=fresh(vm), **wish), moment, deed)

    def during(self, job: Job, moment: Callable[[], object], deed: Callable[[], None]) -> Job:
        """Do the job in a thread, `deed` at its `moment`; returns it when it has ended."""
        ended = self.pool.submit(self._finish, job)
        while not moment() and not ended.done():
            time.sleep(0.005)
        deed()
        return ended.result(120)

    def _finish(self, job: Job) -> Job:
        try:
            return finish(job)
        finally:
            connections.close_all()

    def well(self, vm: VirtualMachine, where) -> None:
        """It runs there and nowhere else, is known there and nowhere else, and goes on writing."""
        hosts_ = (self.left, self.right)
        assert [host.name for host in hosts_ if host.on and host.qemu_pid(str(vm.pk))] == [where.name]
        assert defined_on(str(vm.pk), [host for host in hosts_ if host.on]) == [where.name]

    def data(self, vm: VirtualMachine) -> int:
        """Its disk after it was powered off: sound, and its log without a gap. Returns how often it was booted."""
        assert finish(power_off_vm(actor=SYSTEM, vm=fresh(vm))).state == "succeeded"
        disk = Path(vm.disks.get().path)
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(disk)], check=True)
        assert guest.entries(disk) > 0
        return guest.counters(disk).boots

    def until(self, what: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def close(self) -> None:
        self.pool.shutdown()
        for host in (self.world.host, self.target):
            hosts.forget(host)


@pytest.fixture
def place(lab_hosts, transactional_db, request):
    made = Place(lab_hosts, busily=getattr(request, "param", False))
    yield made
    made.close()


def boots(vm: VirtualMachine) -> Callable[[], bool]:
    """True once the guest has written to its disk: then it runs for good."""
    path = Path(vm.disks.get().path)
    before = path.stat().st_mtime_ns
    return lambda: path.stat().st_mtime_ns > before


def moves(vm: VirtualMachine, place: Place, *, post_copy: bool = False) -> Callable[[], bool]:
    """True while its memory is on its way; with `post_copy` once it runs on the new host before its memory is there."""

    def look() -> bool:
        if not place.right.qemu_pid(str(vm.pk)):
            return False
        try:
            stats = hosts.connection(place.world.host).migration(str(vm.pk))
            if stats is None or stats.total <= 0 or stats.post_copy is not post_copy:
                return False
            return not post_copy or hosts.connection(place.target).observe_one(str(vm.pk)).power is PowerState.RUNNING
        except DriverError:
            return False

    return look


def test_libvirtd_killed_while_it_makes_starts_snapshots_and_moves(place):
    """Row F14."""
    job = place.create()
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    volume, uuid = vm.disks.get().volume, str(vm.pk)
    with Watcher(uuid, (place.left, place.right)) as watcher:
        job = place.during(job, (place.shared / volume).exists, place.left.restart_daemon)
        assert job.state == "succeeded", f"{job.cause} {job.fix}"
        place.well(vm, place.left)
        assert finish(power_off_vm(actor=SYSTEM, vm=fresh(vm))).state == "succeeded"

        start = start_vm(actor=SYSTEM, vm=fresh(vm))
        job = place.during(start, lambda: place.left.qemu_pid(uuid), place.left.restart_daemon)
        assert job.state == "succeeded", f"{job.cause} {job.fix}"
        place.well(vm, place.left)
        place.until(boots(vm))

        take = take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one", memory=True)
        layer = place.shared / take.args["layers"][0]["new"]
        job = place.during(take, layer.exists, place.left.restart_daemon)
        disk = fresh(vm).disks.get()
        assert (job.state, fresh(vm).snapshots.count(), disk.volume) in (
            ("succeeded", 1, layer.name), ("failed", 0, volume),
        ), f"{job.cause} {job.fix}"  # fmt: skip
        assert layer.exists() is (disk.volume == layer.name)
        assert hosts.connection(place.world.host).chain(uuid, "vda")[0] == disk.path
        place.well(vm, place.left)
        place.until(boots(vm))
        assert chain(disk.path)[-2] == volume

        job = place.migrate(vm, moves(vm, place), place.left.restart_daemon)
        # Broken off, or begun anew when the host answered again: either way it is where the job says.
        if job.state == "failed":
            assert job.error["rule"] == "migration.broken-off", job.cause
        place.well(vm, place.left if job.state == "failed" else place.right)
        place.until(boots(vm))
    assert watcher.most == 1 and watcher.samples > 50
    assert place.data(vm) <= 2  # powered off once, before it had booted or after


@pytest.mark.parametrize("place", [True], indirect=True, ids=["busy"])
def test_a_move_whose_host_dies_that_never_ends_or_has_no_way_back(place, monkeypatch):
    """Row F41."""
    vm = VirtualMachine.objects.get(pk=finish(place.create()).subject_id)
    uuid = str(vm.pk)
    place.until(boots(vm))
    with Watcher(uuid, (place.left, place.right)) as watcher:
        # its memory changes faster than it moves, and its policy gives up then
        early = replace(policies.POLICIES[policies.MINIMAL], measures=(policies.Measure(2, "abort"),))
        monkeypatch.setitem(policies.POLICIES, policies.MINIMAL, early)
        job = place.migrate(vm, moves(vm, place), lambda: None, mib=8)
        assert job.state == "failed" and job.error["rule"] == "migration.converge", f"{job.state} {job.cause}"
        place.well(vm, place.left)
        place.until(boots(vm))

        # the host it goes to loses its power
        job = place.migrate(vm, moves(vm, place), place.right.stop)
        assert job.state == "failed" and job.error["rule"] == "migration.stayed", f"{job.state} {job.cause}"
        place.well(vm, place.left)
        place.until(boots(vm))
        place.right.start()

        # libvirtd of its old host is killed when it runs on the new one already, and part of its memory is still here
        early = replace(policies.POLICIES[policies.POST_COPY], measures=(policies.Measure(0, "post-copy"),))
        monkeypatch.setitem(policies.POLICIES, policies.POST_COPY, early)
        behind = moves(vm, place, post_copy=True)
        job = place.migrate(vm, behind, place.left.restart_daemon, policy=policies.POST_COPY)
        assert job.state == "succeeded", f"{job.cause} {job.fix}"
        place.well(vm, place.right)
        place.until(boots(vm))
    assert watcher.most == 1 and watcher.samples > 50
    assert place.data(vm) == 1
