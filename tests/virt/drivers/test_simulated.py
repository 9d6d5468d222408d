"""What only the simulated driver has: faults, delays, other processes, large numbers, a clock of its own."""

import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from broker.core import clock
from broker.virt.driver import (
    DiskSpec,
    EventKind,
    HostUnreachable,
    Locked,
    MachineSpec,
    NoSpace,
    PowerState,
    StorageSpec,
    VolumeInfo,
)
from broker.virt.drivers.simulated import connect, world
from broker.virt.drivers.simulated.storage import CAPACITY
from tests.lab.fixtures import ROOT

STORE = StorageSpec(name="disks", kind="dir", path="/disks")
IMAGE = VolumeInfo(name="i", path="/i.raw", format="raw", capacity=1 << 30, allocation=1 << 20)


def machine_spec(name: str = "one") -> MachineSpec:
    disk = DiskSpec(path=f"/disks/{name}.qcow2", format="qcow2", target="vda")
    return MachineSpec(uuid=str(uuid.uuid4()), name=name, vcpus=1, memory_mib=512, disks=(disk,), mark=name)


@pytest.fixture
def uri() -> str:
    return f"sim://test-{uuid.uuid4().hex[:8]}"


def test_connections_of_one_name_share_the_host(uri):
    spec = machine_spec()
    connect(uri).define(spec)
    assert [seen.uuid for seen in connect(uri).observe()] == [spec.uuid]
    assert connect("sim://another").observe() == ()


def test_a_fault_comes_as_often_as_ordered_and_changes_nothing(uri):
    host = connect(uri)
    world(uri).fail_next("define", NoSpace("full at %(place)s", fix="clean up", place="here"), times=2)
    for _ in range(2):
        with pytest.raises(NoSpace) as told:
            host.define(machine_spec())
        assert told.value.message == "full at here"
        assert told.value.fix == "clean up"
    assert host.observe() == ()
    host.define(machine_spec())
    assert len(host.observe()) == 1


def test_connecting_can_fail(uri):
    world(uri).fail_next("connect", HostUnreachable("no"))
    with pytest.raises(HostUnreachable):
        connect(uri)
    assert connect(uri).alive()


def test_delays_use_the_worlds_own_sleep(uri):
    slept = []
    world(uri).sleep = slept.append
    world(uri).delay("facts", 3.5)
    connect(uri).facts()
    world(uri).delay("facts", 0)
    connect(uri).facts()
    assert slept == [3.5]


def test_a_slow_verb_does_not_hold_up_others(uri):
    host = connect(uri)
    world(uri).delay("facts", 0.5)
    slow = threading.Thread(target=host.facts)
    slow.start()
    started = time.monotonic()
    host.observe()
    assert time.monotonic() - started < 0.3
    slow.join()


def test_unplug_and_plug(uri):
    host = connect(uri)
    spec = machine_spec()
    host.define(spec)
    host.start(spec.uuid)
    world(uri).unplug()
    for call in (host.observe, lambda: connect(uri)):
        with pytest.raises(HostUnreachable):
            call()
    world(uri).plug()
    with pytest.raises(HostUnreachable):
        host.observe()
    assert connect(uri).observe_one(spec.uuid).power is PowerState.RUNNING


def test_a_deaf_guest_and_a_lost_agent(uri):
    host, spec = connect(uri), machine_spec()
    host.define(spec)
    host.start(spec.uuid)
    world(uri).ignore_power_button(spec.uuid)
    host.shutdown(spec.uuid, via="acpi")
    assert host.observe_one(spec.uuid).power is PowerState.RUNNING
    assert host.guest(spec.uuid).hostname == "one"
    world(uri).lose_agent(spec.uuid)
    assert host.guest(spec.uuid) is None


def test_the_console_can_point_to_a_real_socket():
    uri = f"sim://vnc-{uuid.uuid4().hex[:8]}?vnc=/run/real.sock"
    host, spec = connect(uri), machine_spec()
    host.define(spec)
    host.start(spec.uuid)
    assert host.observe_one(spec.uuid).consoles[0].unix == "/run/real.sock"


def test_one_line_at_a_time(uri):
    host, spec = connect(uri), machine_spec()
    host.define(spec)
    host.start(spec.uuid)
    with host.serial(spec.uuid), pytest.raises(Locked), host.serial(spec.uuid):
        pass


def test_a_copy_that_was_interrupted(uri):
    host = connect(uri)
    host.ensure_storage(STORE)

    def interrupt(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.copy_volume(STORE, "copy", source=IMAGE, progress=interrupt)
    assert host.volume(STORE, "copy") is None
    assert host.volumes(STORE) == ()
    host.copy_volume(STORE, "copy", source=IMAGE)
    assert [volume.name for volume in host.volumes(STORE)] == ["copy"]


def test_a_full_storage(uri):
    host = connect(uri)
    host.ensure_storage(STORE)
    giant = VolumeInfo(name="g", path="/g", format="raw", capacity=CAPACITY, allocation=CAPACITY)
    host.copy_volume(STORE, "giant", source=giant)
    with pytest.raises(NoSpace):
        host.create_volume(STORE, "more", backing=IMAGE)


def test_the_virtual_clock(uri):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    clock.use(wall=lambda: now, steady_clock=lambda: 0.0)
    try:
        host, spec = connect(uri), machine_spec()
        host.define(spec)
        host.start(spec.uuid)
        assert host.observe_one(spec.uuid).at == now
        now += timedelta(seconds=100)
        assert host.observe_one(spec.uuid).counters.cpu_time_ns == 5_000_000_000
    finally:
        clock.restore()


def test_several_processes_see_one_host(tmp_path):
    """One process defines and starts, another watches: data, events, faults and kills all go through the file."""
    uri = f"sim://shared?state={tmp_path / 'host.json'}"
    host = connect(uri)
    arrived = threading.Event()
    stop = host.subscribe(lambda event: arrived.set() if event.kind is EventKind.POWER else None)
    spec = machine_spec("theirs")
    script = f"""
from broker.virt.driver import DiskSpec, MachineSpec
from broker.virt.drivers.simulated import connect
host = connect({uri!r})
host.define(MachineSpec(uuid={spec.uuid!r}, name="theirs", vcpus=1, memory_mib=64, disks=(), mark="m"))
host.start({spec.uuid!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    assert arrived.wait(1)
    stop()
    assert host.observe_one(spec.uuid).power is PowerState.RUNNING
    world(uri).fail_next("start", NoSpace("full"))
    failing = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "NoSpace" in failing.stderr


def test_many_processes_lose_nothing(tmp_path):
    uri = f"sim://crowd?state={tmp_path / 'host.json'}"
    script = """
import sys, uuid
from broker.virt.driver import MachineSpec
from broker.virt.drivers.simulated import connect
host = connect(sys.argv[1])
for number in range(20):
    name = f"{sys.argv[2]}-{number}"
    host.define(MachineSpec(uuid=str(uuid.uuid4()), name=name, vcpus=1, memory_mib=64, disks=()))
"""
    workers = [subprocess.Popen([sys.executable, "-c", script, uri, f"w{index}"], cwd=ROOT) for index in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert len(connect(uri).observe()) == 60


def test_thousands_of_machines_are_cheap(uri):
    host = connect(uri)
    started = time.process_time()
    for number in range(3000):
        spec = machine_spec(f"vm-{number}")
        host.define(spec)
        host.start(spec.uuid)
    assert len(host.observe()) == 3000
    assert time.process_time() - started < 10
