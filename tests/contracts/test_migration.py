"""The contract of live migration, over two hosts of each driver."""

import subprocess
import time
import uuid
from dataclasses import dataclass

import pytest

from broker.virt.driver import (
    DiskCopy,
    DiskSpec,
    HostConnection,
    MachineSpec,
    MigrationOrder,
    PowerState,
    Refused,
    SavedPoints,
    StorageSpec,
)
from broker.virt.drivers import known, load, simulated
from tests.lab import guest

DRIVERS = [pytest.param(name, marks=() if name == "simulated" else pytest.mark.lab) for name in known()]


@dataclass
class Pair:
    """Two hosts that see `shared`, and a directory `local` of the second; `uri`: the second as the first reaches it."""

    left: HostConnection
    right: HostConnection
    uri: str
    shared: StorageSpec
    local: StorageSpec
    slow: dict

    def machine(self, **fields) -> str:
        machine = str(uuid.uuid4())
        base = self.left.volume(self.shared, "base.qcow2")
        disk = self.left.create_volume(self.shared, f"{machine}.qcow2", backing=base)
        spec = MachineSpec(
            uuid=machine, name="one", vcpus=1, memory_mib=32, mark="mark-1",
            disks=(DiskSpec(path=disk.path, format="qcow2", target="vda"),), **fields,
        )  # fmt: skip
        self.left.define(spec)
        self.left.start(spec.uuid)
        return spec.uuid

    def order(self, **fields) -> MigrationOrder:
        return MigrationOrder(**({"uri": self.uri, "seen_alike": True} | fields))


@pytest.fixture(params=DRIVERS)
def pair(request):
    local = StorageSpec(name="local", kind="dir", path="/local")
    if request.param == "simulated":
        site, shared = uuid.uuid4().hex, StorageSpec(name="shared", kind="dir", path="/shared")
        uris = [f"sim://{side}-{site}?site={site}" for side in ("left", "right")]
        left, right = (load("simulated").connect(uri) for uri in uris)
        left.ensure_storage(shared)
        left.create_volume(shared, "base.qcow2", capacity=1 << 20)
        simulated.order_moves(simulated.world(uris[0]), seconds=0.0)
        right.ensure_storage(local)
        yield Pair(left, right, uris[1], shared, local, {})
        return
    lab = request.getfixturevalue("lab_hosts")
    shared = StorageSpec(name="shared", kind="dir", path=str(lab.shared))
    local = StorageSpec(name="local", kind="dir", path=str(lab.base / "local"))
    guest.write_image(lab.shared / "base.qcow2", image_format="qcow2")
    left, right = (load("libvirt").connect(lab.tls_uri(name), timeout=20) for name in ("lab-a", "lab-b"))
    for host in (left, right):
        host.ensure_storage(shared)
    right.ensure_storage(local)
    yield Pair(left, right, "qemu+tls://lab-b/system", shared, local, {"bandwidth_mib": 1})
    for host in (left, right):
        host.close()


def slowly(pair: Pair, machine: str) -> None:
    """Begin a move that takes long enough to do something to it."""
    if isinstance(pair.left, simulated.SimulatedHost):
        simulated.order_moves(pair.left.world, seconds=3600.0)
    pair.left.begin_migration(machine, pair.order(**pair.slow), patience=0.2)
    assert pair.left.migration(machine) is not None


def test_a_machine_moves_and_stays_the_same_run(pair):
    machine = pair.machine()
    before = pair.left.observe_one(machine)
    pair.left.begin_migration(machine, pair.order(auto_converge=True), patience=60)
    pair.right.finish_migration(machine)
    assert pair.left.observe_one(machine).power is PowerState.MISSING
    seen = pair.right.observe_one(machine)
    assert (seen.power, seen.boot_id, seen.definition) == (PowerState.RUNNING, before.boot_id, before.definition)
    assert seen.mark == "mark-1"
    assert pair.right.migrated(machine).downtime_ms > 0
    assert pair.left.migration(machine) is None
    assert pair.left.migrated(machine) is None
    pair.right.power_off(machine)
    pair.right.start(machine)
    assert pair.right.observe_one(machine).boot_id not in ("", before.boot_id)


def test_begun_twice_it_moves_once_and_cancelled_it_stays(pair):
    machine = pair.machine()
    slowly(pair, machine)
    pair.left.begin_migration(machine, pair.order(**pair.slow), patience=0.2)
    pair.left.adjust_migration(machine, downtime_ms=500, bandwidth_mib=2)
    pair.left.cancel_migration(machine)
    until(lambda: pair.left.migration(machine) is None)
    pair.left.cancel_migration(machine)
    pair.left.finish_migration(machine)
    assert pair.left.observe_one(machine).power is PowerState.RUNNING
    until(lambda: pair.right.observe_one(machine).power is PowerState.MISSING)


def test_post_copy_ends_what_takes_long(pair):
    machine = pair.machine()
    boot = pair.left.observe_one(machine).boot_id
    pair.slow["post_copy"] = True
    if isinstance(pair.left, simulated.SimulatedHost):
        simulated.order_moves(pair.left.world, seconds=0.0, needs_ms=60_000)
        pair.left.begin_migration(machine, pair.order(post_copy=True), patience=0.2)
    else:
        slowly(pair, machine)
        until(lambda: (pair.left.migration(machine) or pair).total > 0)
    pair.left.begin_post_copy(machine)
    until(lambda: pair.left.observe_one(machine).power is PowerState.MISSING)
    seen = pair.right.observe_one(machine)
    assert (seen.power, seen.boot_id) == (PowerState.RUNNING, boot)
    pair.left.begin_post_copy(machine)  # too late: nothing to do


def test_disks_go_along_where_they_are_not_shared(pair):
    machine = pair.machine()
    volume = pair.right.create_volume(pair.local, "copied.qcow2", capacity=1 << 20)
    try:
        order = pair.order(seen_alike=False, copies=(DiskCopy("vda", volume.path),))
        pair.left.begin_migration(machine, order, patience=60)
        assert pair.right.observe_one(machine).power is PowerState.RUNNING
        assert volume.path in pair.right.definition(machine)
        copied = pair.right.volume(pair.local, "copied.qcow2")
        assert copied.backing == ""
    finally:
        if pair.right.observe_one(machine).power is PowerState.RUNNING:
            pair.right.power_off(machine)
        pair.right.delete_volume(pair.local, "copied.qcow2")


def test_where_memory_may_not_be_locked_zero_copy_is_left_out(pair):
    machine = pair.machine()
    pair.left.begin_migration(machine, pair.order(encrypted=False, parallel=2, zero_copy=True), patience=60)
    assert pair.right.observe_one(machine).power is PowerState.RUNNING
    assert pair.left.observe_one(machine).power is PowerState.MISSING


def test_what_is_off_does_not_move(pair):
    machine = pair.machine()
    pair.left.power_off(machine)
    with pytest.raises(Refused):
        pair.left.begin_migration(machine, pair.order())
    assert pair.left.migration(machine) is None


@pytest.mark.lab
def test_snapshots_and_checkpoints_go_along(lab_hosts):
    """What libvirt knows of them is made known on the other host; only a real host has any."""
    import libvirt

    lab = lab_hosts
    shared = StorageSpec(name="shared", kind="dir", path=str(lab.shared))
    guest.write_image(lab.shared / "base.qcow2", image_format="qcow2")
    left, right = (load("libvirt").connect(lab.tls_uri(name), timeout=20) for name in ("lab-a", "lab-b"))
    for host in (left, right):
        host.ensure_storage(shared)
    machine = Pair(left, right, "qemu+tls://lab-b/system", shared, shared, {}).machine(clipboard=False)
    left.power_off(machine)
    image = lab.shared / f"{machine}.qcow2"
    subprocess.run(["qemu-img", "amend", "-f", "qcow2", "-o", "compat=1.1", str(image)], check=True)  # has bitmaps
    left.start(machine)
    behind = libvirt.open(lab.hosts["lab-a"].uri)
    domain = behind.lookupByUUIDString(machine)
    domain.snapshotCreateXML("<domainsnapshot><name>first</name></domainsnapshot>")
    domain.snapshotCreateXML("<domainsnapshot><name>second</name></domainsnapshot>")
    domain.checkpointCreateXML("<domaincheckpoint><name>mark</name></domaincheckpoint>")
    points = left.saved_points(machine)
    assert (len(points.snapshots), points.current, len(points.checkpoints)) == (2, "second", 1)
    left.forget_points(machine)
    assert left.saved_points(machine) == SavedPoints()
    left.begin_migration(machine, MigrationOrder("qemu+tls://lab-b/system", seen_alike=True), patience=60)
    for _ in range(2):
        right.restore_points(machine, points)
    told = right.saved_points(machine)
    assert (len(told.snapshots), told.current, len(told.checkpoints)) == (2, "second", 1)
    ahead = libvirt.open(lab.hosts["lab-b"].uri)
    moved = ahead.lookupByUUIDString(machine)
    assert moved.snapshotLookupByName("second").getParent().getName() == "first"
    for line in (behind, ahead):
        line.close()
    for host in (left, right):
        host.close()


def until(fits, *, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not fits():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
