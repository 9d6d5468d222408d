"""The laboratory itself: guest image, cage, hosts."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.virt.driver import DiskSpec, PowerState
from broker.virt.drivers import load
from tests.lab import cage, guest
from tests.lab.fixtures import ROOT, read_until, wait_for_power
from tests.lab.lab import Lab


def test_the_boot_sector_is_one():
    sector = guest.sector(period=7)
    assert len(sector) == guest.SECTOR_SIZE
    assert sector[-2:] == b"\x55\xaa"
    assert sector[-3] == 7
    with pytest.raises(ValueError):
        guest.sector(period=256)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_images(tmp_path, image_format):
    path = guest.write_image(tmp_path / "image", size=2 << 20, image_format=image_format)
    assert guest.counters(path, image_format=image_format) == guest.Counters(boots=0, ticks=0)
    assert os.listdir(tmp_path) == ["image"]


@pytest.mark.lab
def test_the_cage_is_closed_and_tells_the_exit_status():
    script = "test -d /sys/class/net/lo && test $(ls /sys/class/net | wc -l) = 1 && (sleep 100 & ) && exit 7"
    started = time.monotonic()
    done = subprocess.run(cage.command(["bash", "-c", script]), cwd=ROOT, check=False)
    assert done.returncode == 7
    assert time.monotonic() - started < 10  # did not wait for the orphan


@pytest.mark.lab
def test_killing_the_cage_kills_what_is_inside():
    command = cage.command([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(1000)"])
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait(10)
    assert process.stdout.read() == b""  # ends only when the last holder of the pipe is gone


@pytest.mark.lab
@pytest.mark.parametrize("period", [18, 0])
def test_the_guest_counts_boots_and_obeys_the_power_button(connection, storage, make_machine, period):
    disk = guest.write_image(Path(storage.path) / "own.raw", period=period)
    spec = make_machine(disks=(DiskSpec(path=str(disk), format="raw", target="vda"),))
    for boots in (1, 2):
        connection.start(spec.uuid)
        with connection.serial(spec.uuid) as line:
            read_until(line, b"LAB-UP")
            while period and not any(disk.read_bytes()[520:524]):  # the log's count
                assert not line.read(0.05)
            connection.shutdown(spec.uuid, via="acpi")
            read_until(line, b"LAB-OFF")
        wait_for_power(connection, spec.uuid, PowerState.OFF)
        assert guest.counters(disk, image_format="raw").boots == boots
    logged = guest.entries(disk, image_format="raw")
    assert (logged > 0) is (period > 0)
    with disk.open("r+b") as file:
        file.seek((2 + logged) * guest.SECTOR_SIZE)
        file.write(b"\xff")
    if logged:
        with pytest.raises(AssertionError, match=f"entry {logged} is damaged"):
            guest.entries(disk, image_format="raw")


@pytest.mark.lab
def test_keys_arrive_in_the_guest(connection, make_machine):
    spec = make_machine()
    connection.start(spec.uuid)
    with connection.serial(spec.uuid) as line:
        read_until(line, b"LAB-UP\r\n")
        connection.send_keys(spec.uuid, [30])
        assert read_until(line, b"a") == b"a"


@pytest.mark.lab
def test_guests_outlive_their_libvirtd(lab_host, connection, make_machine):
    spec = make_machine()
    connection.start(spec.uuid)
    before = lab_host.qemu_pid(spec.uuid)
    boot_id = connection.observe_one(spec.uuid).boot_id
    other = load("libvirt").connect(lab_host.uri, timeout=20)
    lab_host.stop_daemon()
    assert not lab_host.daemon_pid
    lab_host.restart_daemon()
    assert not other.alive()
    again = load("libvirt").connect(lab_host.uri, timeout=20)
    assert again.observe_one(spec.uuid).power is PowerState.RUNNING
    assert again.observe_one(spec.uuid).boot_id == boot_id
    assert lab_host.qemu_pid(spec.uuid) == before > 0
    again.power_off(spec.uuid)
    again.undefine(spec.uuid)
    again.close()


@pytest.mark.lab
def test_two_hosts_by_tcp_and_tls(lab_base):
    with Lab(lab_base / "two", 2) as lab:
        for name, host in lab.hosts.items():
            for uri in (host.uri, host.tcp_uri, lab.tls_uri(name)):
                connection = load("libvirt").connect(uri, timeout=20)
                facts = connection.facts()
                assert facts.hostname == name
                assert facts.emulated or os.environ.get("LAB_KVM") == "1"
                connection.close()


@pytest.mark.lab
def test_a_power_cut_here_leaves_the_hosts_elsewhere_their_directories(lab_base, lab_host):
    with Lab(lab_base / "aside", 1) as lab:
        other = lab.hosts["lab-a"]
        seen = Path(f"/proc/{other.init_pid}/root/run/libvirt")
        assert seen.samefile(other.home / "run")
        lab_host.crash()
        lab_host.start()
        assert seen.samefile(other.home / "run")
