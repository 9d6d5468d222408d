"""What every hypervisor driver must do when machines are backed up."""

import time

import pytest

from broker.virt.driver import NotFound, Refused

GONE = "11111111-2222-3333-4444-555555555555"


def ended(host, machine):
    deadline = time.monotonic() + 60
    while (look := host.look_at_backup(machine)) is not None and look.running:
        assert time.monotonic() < deadline, look
        time.sleep(0.05)
    return look


def full(host, store, machine, spec, name="full.qcow2", checkpoint="c1"):
    capacity = host.volume(store, "one.qcow2").capacity
    volume = host.create_volume(store, name, capacity=capacity)
    host.begin_backup(machine, {"vda": volume.path}, checkpoint=checkpoint)
    look = ended(host, machine)
    assert (look.running, look.error) == (False, "")
    return volume


def test_a_full_one_and_what_changed_after_it(host, store, machine, spec):
    host.start(machine)
    first = full(host, store, machine, spec)
    assert host.checkpoints(machine) == ("c1",)
    second = host.create_volume(store, "more.qcow2", capacity=first.capacity, backing=first)
    for _ in range(2):  # begun already: nothing more
        host.begin_backup(machine, {"vda": second.path}, checkpoint="c2", since="c1")
        assert ended(host, machine).error == ""
    assert host.checkpoints(machine) == ("c1", "c2")
    assert host.volume(store, "more.qcow2").backing == first.path
    host.drop_checkpoint(machine, "c1")
    host.drop_checkpoint(machine, "c1")
    assert host.checkpoints(machine) == ("c2",)
    host.forget_checkpoints(machine, ("c2", "c9"))
    assert host.checkpoints(machine) == ()
    third = host.create_volume(store, "third.qcow2", capacity=first.capacity, backing=second)
    with pytest.raises(Refused):
        host.begin_backup(machine, {"vda": third.path}, checkpoint="c3", since="c2")
    assert host.checkpoints(machine) == ()


def test_a_machine_that_is_off_has_none(host, store, machine, spec):
    volume = host.create_volume(store, "full.qcow2", capacity=1 << 20)
    with pytest.raises(Refused):
        host.begin_backup(machine, {"vda": volume.path}, checkpoint="c1")
    assert host.look_at_backup(machine) is None
    host.stop_backup(machine)
    assert host.checkpoints(machine) == ()
    with pytest.raises(NotFound):
        host.checkpoints(GONE)


def test_one_that_is_copied_is_the_same(host, store, machine, spec):
    host.start(machine)
    host.pause(machine)
    volume = full(host, store, machine, spec)
    host.power_off(machine)
    copy = host.copy_volume(store, "copy.qcow2", source=volume)
    assert host.same_contents(store, volume.name, copy.name)
    digest, size = host.checksum(store, volume.name)
    assert (len(digest), size > 0) == (64, True)
    assert host.checksum(store, volume.name) == (digest, size)
    with pytest.raises(NotFound):
        host.checksum(store, "no.qcow2")
