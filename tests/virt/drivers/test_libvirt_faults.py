"""The libvirt driver when things go wrong on a real host: hung and killed QEMUs, interrupted copies, lost races."""

import json
import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest

from broker.virt.driver import HostConnection, HostUnreachable, Locked, Observation, PowerState, VolumeInfo
from broker.virt.drivers import load
from broker.virt.drivers.libvirt import disks, observe
from tests.lab.fixtures import read_until, wait_for_power
from tests.virt.monitor.help import eventually

pytestmark = pytest.mark.lab


def test_a_hung_qemu_does_not_hold_up_the_others(lab_host, connection, make_machine):
    """Fault F17: all states come in bounded time; counters are missing once, while one QEMU is found to hang."""
    hung, well = make_machine(), make_machine()
    for machine in (hung, well):
        connection.start(machine.uuid)
    pid = lab_host.qemu_pid(hung.uuid)
    os.kill(pid, signal.SIGSTOP)
    try:
        looks = [_look(connection) for _ in range(5)]
        for _, seen in looks:
            assert seen[hung.uuid].power is seen[well.uuid].power is PowerState.RUNNING
        took = sorted(seconds for seconds, _ in looks)
        assert took[2] < observe.COUNTERS_TIMEOUT + 2
        assert took[-1] < observe.COUNTERS_TIMEOUT + 8  # libvirtd itself waits for the hung one at times: 3 s, or 6
        assert any(_counted(seen[well.uuid]) for _, seen in looks[1:])
        connection.power_off(hung.uuid)
        assert connection.observe_one(hung.uuid).power is PowerState.OFF
        # the look that got stuck goes on to the well one now, and holds its monitor while another asks
        eventually(lambda: _complete(_look(connection), well.uuid), within=20)
    finally:
        if lab_host.qemu_pid(hung.uuid) == pid:
            os.kill(pid, signal.SIGCONT)


def _look(connection: HostConnection) -> tuple[float, dict[str, Observation]]:
    """All machines by UUID, and the seconds it took to see them."""
    started = time.monotonic()
    seen = {one.uuid: one for one in connection.observe()}
    return time.monotonic() - started, seen


def _complete(look: tuple[float, dict[str, Observation]], uuid: str) -> bool:
    seconds, seen = look
    return seconds < observe.COUNTERS_TIMEOUT and _counted(seen[uuid])


def _counted(one: Observation) -> bool:
    told = one.counters
    return None not in (told.cpu_time_ns, told.memory_used, told.disk_read, told.disk_written)


def test_a_silent_host_lets_all_its_callers_go(lab_host):
    """Fault F15: not only the first: libvirt's client would keep the others until the socket ends."""
    host, answers = load("libvirt").connect(lab_host.uri, timeout=20), []

    def ask() -> None:
        try:
            answers.append(host.observe())
        except HostUnreachable as error:
            answers.append(error)

    host.observe()
    lab_host.freeze()
    try:
        callers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(40)
    finally:
        lab_host.thaw()
    assert [type(answer) for answer in answers] == [HostUnreachable] * 4
    assert not host.alive()
    with pytest.raises(HostUnreachable):
        host.observe()
    host.close()


def test_a_killed_qemu_is_seen_as_crashed_and_starts_again(lab_host, connection, make_machine):
    """Fault F16 of docs/faults.md."""
    machine = make_machine()
    connection.start(machine.uuid)
    first = connection.observe_one(machine.uuid).boot_id
    os.kill(lab_host.qemu_pid(machine.uuid), signal.SIGKILL)
    wait_for_power(connection, machine.uuid, PowerState.CRASHED, timeout=2)
    connection.power_off(machine.uuid)
    connection.start(machine.uuid)
    assert connection.observe_one(machine.uuid).power is PowerState.RUNNING
    assert connection.observe_one(machine.uuid).boot_id != first


def test_an_image_that_qemu_writes_to_is_kept_though_libvirtd_was_killed_before_it_knew(
    lab_host, connection, storage, make_machine
):
    """Fault F14: what libvirtd does not know of looks like the rest of an attempt, and holds all that came after."""
    machine = make_machine()
    connection.start(machine.uuid)
    layer = f"{storage.path}/{machine.name}.1.qcow2"
    order = {"node-name": "libvirt-1-format", "snapshot-file": layer, "snapshot-node-name": "libvirt-9-format"}
    with closing(libvirt.open(lab_host.uri)) as behind:
        told = libvirt_qemu.qemuMonitorCommand(
            behind.lookupByUUIDString(machine.uuid),
            json.dumps({"execute": "blockdev-snapshot-sync", "arguments": order}), 0,
        )  # fmt: skip
    assert "error" not in told, told
    before = Path(layer).stat().st_ino
    connection.freeze_disks(machine.uuid, {"vda": layer})
    assert Path(layer).stat().st_ino == before


def test_a_power_cut_of_the_host_gives_the_next_run_another_boot_id(lab_host, connection, make_machine):
    """Domain ids start at 1 again; a console ticket of before must not fit the machine of afterwards."""
    machine = make_machine()
    boot_ids = []
    for _ in range(2):
        lab_host.crash()
        lab_host.start()
        again = load("libvirt").connect(lab_host.uri, timeout=20)
        assert again.observe_one(machine.uuid).power is PowerState.OFF
        again.start(machine.uuid)
        boot_ids.append(again.observe_one(machine.uuid).boot_id)
        again.close()
    assert [boot_id.partition("-")[0] for boot_id in boot_ids] == ["1", "1"]
    assert boot_ids[0] != boot_ids[1]
    again = load("libvirt").connect(lab_host.uri, timeout=20)
    again.power_off(machine.uuid)
    again.undefine(machine.uuid)
    again.close()


def test_a_copy_under_way_is_locked_and_invisible(lab_host, connection, storage, tmp_path, monkeypatch):
    """The copying process is frozen while another connection looks."""
    monkeypatch.setattr(disks, "_POLL", 0.01)
    image = tmp_path / "big.raw"
    with image.open("wb") as file:
        for number in range(1200):
            file.write(bytes([number % 255 + 1]) * (1 << 20))
    source = VolumeInfo(name=image.name, path=str(image), format="raw", capacity=image.stat().st_size, allocation=0)
    told = []

    def look(share: float) -> None:
        if told or not (copying := lab_host.helper_pids("qemu-img")):
            return
        for pid in copying:
            os.kill(pid, signal.SIGSTOP)
        try:
            with closing(load("libvirt").connect(lab_host.uri, timeout=20)) as other:
                told.append((share, other.volume(storage, "big"), other.volumes(storage)))
                with pytest.raises(Locked):
                    other.copy_volume(storage, "big", source=source)
        finally:
            for pid in copying:
                os.kill(pid, signal.SIGCONT)

    made = connection.copy_volume(storage, "big", source=source, progress=look)
    share, volume, volumes = told[0]
    assert (volume, volumes) == (None, ())
    assert 0 <= share < 1
    assert connection.volume(storage, "big") == made
    assert sorted(path.name for path in Path(storage.path).iterdir()) == ["big"]


def test_saved_memory_survives_a_restart_of_libvirtd(lab_host, connection, make_machine):
    machine = make_machine()
    connection.start(machine.uuid)
    with connection.serial(machine.uuid) as line:
        read_until(line, b"LAB-UP")
    connection.suspend(machine.uuid)
    lab_host.restart_daemon()
    again = load("libvirt").connect(lab_host.uri, timeout=20)
    assert again.observe_one(machine.uuid).power is PowerState.SUSPENDED
    again.undefine(machine.uuid)
    assert again.observe_one(machine.uuid).power is PowerState.MISSING
    again.close()
