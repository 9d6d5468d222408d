"""A storage whose server hangs under a real machine: its host is well, others go on, and nothing is lost."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections

from broker.events.models import Event
from broker.settings import env
from broker.virt import hosts
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.drivers.libvirt import patience
from broker.virt.ha import duty
from broker.virt.models import Host, StorageDomain, Verdict, VirtualMachine
from broker.virt.monitor import facts, watch
from broker.virt.monitor.process import Monitor
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.fixtures import remove_machines
from tests.lab.slow_share import SlowShare
from tests.virt.actions.stage import SYSTEM, fresh
from tests.virt.monitor.help import eventually
from tests.virt.outside import Watcher
from tests.world import World

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture
def quick(monkeypatch):
    """Looks that come soon, and patience that ends soon: what is waited for is the same."""
    monkeypatch.setattr(env, "observe_every", 1.0)
    monkeypatch.setattr(watch, "STORAGE_EVERY", 1.0)
    monkeypatch.setattr(facts, "CAPACITY_EVERY", facts.CAPACITY_EVERY / 30)
    monkeypatch.setattr(patience, "SECONDS", 2.0)


@pytest.fixture
def place(quick, transactional_db, lab_host, lab_base, connection):
    world = World.build(driver="libvirt", uri=lab_host.uri, path=str(lab_base / f"well-{time.monotonic_ns()}"))
    Path(world.storage.path).mkdir()
    guest.write_image(Path(world.storage.path) / world.version.volume, image_format="qcow2", period=1)
    type(world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
    world.version.refresh_from_db()
    stop = threading.Event()
    with SlowShare(lab_host, lab_base / "exported", lab_base / f"slow-{time.monotonic_ns()}") as share:
        slow = create_storage(actor=SYSTEM, cluster=world.cluster, name="slow", path=str(share.path))
        monitor = threading.Thread(target=Monitor().run, args=(stop,), daemon=True)
        monitor.start()
        yield world, share, slow
        share.go_on()
        stop.set()
        monitor.join(20)
        remove_machines(connection)
    hosts.forget(world.host)


def make(world, name: str, storage: StorageDomain) -> VirtualMachine:
    job = finish(create_vm(actor=SYSTEM, name=name, version=world.version, storage=storage, linked=False, start=True))
    assert job.state == "succeeded", job.cause
    return VirtualMachine.objects.get(pk=job.subject_id)


def test_it_hangs_and_goes_on(place, lab_host):
    """Row F25."""
    world, share, slow = place
    well, held, off = (
        make(world, name, where) for name, where in (("well", world.storage), ("held", slow), ("off", slow))
    )
    assert finish(power_off_vm(actor=SYSTEM, vm=fresh(off))).state == "succeeded"
    file = share.exported / fresh(held).disks.get().volume
    eventually(lambda: guest_writes(file), within=60)
    eventually(lambda: StorageDomain.objects.get(pk=slow.pk).capacity_bytes, within=30)
    with Watcher(str(held.pk), [lab_host]) as watcher, ThreadPoolExecutor(4) as workers:
        share.hang()
        eventually(lambda: StorageDomain.objects.get(pk=slow.pk).error, within=60, every=0.1)
        # workers are let go although they ask for it, more of them than there are threads for the host
        waiting = [workers.submit(ended, start_vm(actor=SYSTEM, vm=fresh(off)))]
        for action in (power_off_vm, start_vm):
            job = workers.submit(ended, action(actor=SYSTEM, vm=fresh(well))).result(60)
            assert job.state == "succeeded", job.cause
        seen = Host.objects.get(pk=world.host.pk)
        eventually(lambda: Host.objects.get(pk=world.host.pk).observed_at > seen.observed_at, within=30, every=0.1)
        duty.run()
        assert (seen.error, Verdict.objects.exclude(decision="alive").exists()) == ("", False)
        assert lab_host.qemu_pid(str(held.pk))

        share.go_on()
        assert waiting[0].result(120).state == "succeeded"
        eventually(lambda: not StorageDomain.objects.get(pk=slow.pk).error, within=60, every=0.1)
        eventually(lambda: guest_writes(file), within=30)
    assert watcher.most == 1 and fresh(held).power_state == "running"
    assert {"storage.unreachable", "storage.reachable"} <= set(Event.objects.values_list("kind", flat=True))
    assert finish(power_off_vm(actor=SYSTEM, vm=fresh(held))).state == "succeeded"
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(file)], check=True)
    assert guest.entries(file) > 0 and guest.counters(file).boots == 1


def ended(job):
    try:
        return finish(job)
    finally:
        connections.close_all()


def guest_writes(file: Path) -> bool:
    before = file.stat().st_mtime_ns
    time.sleep(0.3)
    return file.stat().st_mtime_ns > before
