"""What every hypervisor driver must do with the disks of machines that exist."""

import time
import uuid
from dataclasses import replace

import pytest

from broker.virt.driver import DiskLimits, DiskSpec, NotFound, PowerState, Refused
from tests.lab.fixtures import read_until


def booted(host, machine):
    host.start(machine)
    with host.serial(machine) as line:
        read_until(line, b"LAB-UP")


def merged(host, machine, target, *, top, base):
    """Move the merge on until it is done."""
    deadline = time.monotonic() + 60
    while host.merge_layer(machine, target, top=top, base=base) < 1.0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def below(volume, name):
    return volume.path.rpartition("/")[0] + "/" + name


class TestDisks:
    def test_a_disk_is_plugged_in_and_leaves_when_the_guest_lets_it_go(self, host, machine, store):
        extra = host.create_volume(store, "extra.qcow2", capacity=1 << 20)
        disk = DiskSpec(path=extra.path, format="qcow2", target="vdb")
        with pytest.raises(Refused):
            host.attach_disk(machine, disk)
        assert host.detach_disk(machine, "vdb")
        booted(host, machine)
        for _ in range(2):
            host.attach_disk(machine, disk)
        assert host.chain(machine, "vdb") == (extra.path,)
        host.detach_disk(machine, "vdb")
        host.power_off(machine)
        assert host.detach_disk(machine, "vdb")

    def test_a_raw_disk_is_had_by_two_machines_at_once(self, host, machine, store, spec, base):
        """The second one is refused where nobody said that it is shared: QEMU guards it."""
        all_of = host.create_volume(store, "all.raw", capacity=1 << 20, raw=True)
        assert host.create_volume(store, "all.raw", capacity=1 << 20, raw=True) == all_of and all_of.format == "raw"
        shared = DiskSpec(path=all_of.path, format="raw", target="vdb", shareable=True)
        other = replace(
            spec, uuid=str(uuid.uuid4()), name="two", mark="mark-2",
            disks=(replace(spec.disks[0], path=host.create_volume(store, "two.qcow2", backing=base).path), shared),
        )  # fmt: skip
        host.define(other)
        host.start(other.uuid)
        booted(host, machine)
        for _ in range(2):
            host.attach_disk(machine, shared)
        for one in (machine, other.uuid):
            assert host.chain(one, "vdb") == (all_of.path,)
            assert host.observe_one(one).power is PowerState.RUNNING

    def test_copies_go_from_one_format_to_the_other(self, host, store, base):
        raw = host.copy_volume(store, "copy.raw", source=base, raw=True)
        assert (raw.format, raw.capacity, raw.backing) == ("raw", base.capacity, "")
        back = host.copy_volume(store, "back.qcow2", source=raw)
        assert (back.format, back.capacity) == ("qcow2", base.capacity)

    def test_a_disk_grows_off_and_running_and_never_shrinks(self, host, machine, store, spec):
        for size, running in ((2 << 20, False), (4 << 20, True), (3 << 20, True)):
            if running:
                host.start(machine)
            host.grow_disk(machine, "vda", store, "one.qcow2", size)
        host.power_off(machine)
        assert host.volume(store, "one.qcow2").capacity == 4 << 20

    def test_limits_hold_a_running_machine_and_matter_to_no_other(self, host, machine):
        host.limit_disk(machine, "vda", DiskLimits(total_iops=100))
        host.start(machine)
        for limits in (DiskLimits(total_bytes=1 << 20), DiskLimits(read_bytes=1 << 20, write_iops=50), DiskLimits()):
            host.limit_disk(machine, "vda", limits)
        host.limit_disk(machine, "vdq", DiskLimits(total_iops=100))
        assert host.observe_one(machine).power is PowerState.RUNNING

    def test_what_is_not_there_is_said(self, host, machine, store):
        with pytest.raises(NotFound):
            host.grow_disk(machine, "vda", store, "nothing.qcow2", 8 << 20)


class TestCopies:
    def test_a_running_disk_is_copied_and_put_over(self, host, machine, store, spec):
        booted(host, machine)
        one = spec.disks[0].path
        two = host.create_volume(store, "two.qcow2", capacity=host.volume(store, "one.qcow2").capacity).path
        assert not host.pivot_disk(machine, "vda", two)
        host.mirror_disk(machine, "vda", two, bandwidth=64 << 20)
        host.stop_mirror(machine, "vda")
        host.stop_mirror(machine, "vda")
        assert host.chain(machine, "vda")[0] == one
        deadline = time.monotonic() + 60
        while host.mirror_disk(machine, "vda", two) < 1.0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(2):
            assert host.pivot_disk(machine, "vda", two)
        assert host.chain(machine, "vda") == (two,)  # nothing lies below it
        assert host.mirror_disk(machine, "vda", two) == 1.0
        host.delete_volume(store, "one.qcow2")
        host.power_off(machine)
        assert host.chain(machine, "vda") == (two,)
        assert not host.pivot_disk(machine, "vda", two)  # nothing is being kept the same
        with pytest.raises(Refused):
            host.mirror_disk(machine, "vda", one)


class TestCds:
    def test_a_cd_comes_and_goes_while_the_machine_runs(self, host, machine, store, spec):
        one, two = (host.create_volume(store, name, capacity=1 << 20).path for name in ("cd-1.qcow2", "cd-2.qcow2"))
        drive = DiskSpec(path=one, format="raw", target="sda", bus="sata", device="cdrom", readonly=True)
        assert host.change_cd(machine, "sda", two)  # it does not run: its definition says what it starts with
        host.define(replace(spec, disks=(*spec.disks, drive)))
        host.start(machine)
        for path in (two, two, "", one):
            assert host.change_cd(machine, "sda", path)
            assert [layer for layer in host.chain(machine, "sda") if layer] == ([path] if path else [])
        assert not host.change_cd(machine, "sdb", two) and host.change_cd(machine, "sdb", "")
        host.power_off(machine)


class TestLayers:
    def test_a_running_machine_writes_to_new_files_and_is_merged_back(self, host, machine, store, spec):
        booted(host, machine)
        one = spec.disks[0].path
        two, three = (one.replace("one.", f"{word}.") for word in ("two", "three"))
        for _ in range(2):
            host.freeze_disks(machine, {"vda": two})
        host.freeze_disks(machine, {"vda": three})
        assert host.chain(machine, "vda")[:3] == (three, two, one)
        merged(host, machine, "vda", top=two, base=one)  # in the middle
        assert host.chain(machine, "vda")[:2] == (three, one)
        merged(host, machine, "vda", top=three, base=one)  # the one written to
        assert host.chain(machine, "vda")[0] == one
        host.stop_merge(machine, "vda")  # there is none
        assert host.observe_one(machine).power is PowerState.RUNNING
        host.power_off(machine)
        assert host.chain(machine, "vda")[0] == one  # the definition says so, too

    def test_a_held_machine_is_merged(self, host, machine, store, spec, base):
        one = host.volume(store, "one.qcow2")
        two = host.create_volume(store, "two.qcow2", backing=one)
        host.define(spec.__class__(**{**{f: getattr(spec, f) for f in spec.__slots__}, "disks": (
            DiskSpec(path=two.path, format="qcow2", target="vda"),
        )}))  # fmt: skip
        assert host.chain(machine, "vda") == (two.path, one.path, base.path)
        for _ in range(2):
            host.hold(machine)
        assert host.observe_one(machine).power is PowerState.PAUSED
        merged(host, machine, "vda", top=two.path, base=one.path)
        host.power_off(machine)
        assert host.chain(machine, "vda") == (one.path, base.path)

    def test_memory_is_kept_and_woken_on_other_images(self, host, machine, store, spec):
        booted(host, machine)
        one = spec.disks[0].path
        two, memory = one.replace("one.", "two."), below(host.volume(store, "one.qcow2"), "kept.mem")
        host.freeze_disks(machine, {"vda": two}, memory=memory)
        assert host.observe_one(machine).power is PowerState.RUNNING
        host.power_off(machine)
        three = host.create_volume(store, "three.qcow2", backing=host.volume(store, "one.qcow2"))
        for _ in range(2):
            host.wake_from(machine, memory, {"vda": three.path})
        assert host.observe_one(machine).power is PowerState.RUNNING
        assert host.chain(machine, "vda")[:2] == (three.path, one)
        assert host.volume(store, "kept.mem") is not None

    def test_quiesce_needs_the_agent(self, host, machine, spec, harness):
        booted(host, machine)
        overlays = {"vda": spec.disks[0].path.replace("one.", "two.")}
        if harness.agent:
            host.freeze_disks(machine, overlays, quiesce=True)
        else:
            with pytest.raises(Refused):
                host.freeze_disks(machine, overlays, quiesce=True)
