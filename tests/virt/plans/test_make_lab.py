"""A template version from a real machine: what is on its disk is looked at with other tools, and it boots."""

import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from broker.core import clock
from broker.virt import hosts
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.driver import DiskSpec, MachineSpec
from broker.virt.models import TemplateVersion, VirtualMachine
from broker.virt.sealing.inside import script
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.fixtures import read_until
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_lab import Real

pytestmark = pytest.mark.lab
MIB = 1 << 20
TABLE = 0x1BE  # where a boot sector has its partitions


class Killed(BaseException):
    """The worker dies here."""


SECRET = "THE-KEY-OF-THE-GOLDEN-MACHINE"


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


@pytest.fixture
def golden(real, settings, tmp_path):
    """A machine whose template has a partition behind what its guest writes, and which has secrets on its own disk."""
    root = tmp_path / "root"
    for folder in ("etc/ssh", "usr", "var/log", "home/ann"):
        (root / folder).mkdir(parents=True)
    (root / "home/ann/work.txt").write_text("WORK-OF-ANN")
    raw = tmp_path / "golden.raw"
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={MIB}", "-d", root, raw, "63M"]
    with raw.open("wb") as disk:
        disk.write(guest.sector(period=2))
        disk.seek(TABLE)
        disk.write(struct.pack("<B3xB3xII", 0, 0x83, MIB // guest.SECTOR_SIZE, 63 * MIB // guest.SECTOR_SIZE))
        disk.truncate(64 * MIB)
    subprocess.run(make, check=True, capture_output=True)
    target = Path(settings.DATA_DIR) / "import" / "golden.qcow2"
    convert("raw", raw, "qcow2", target)
    job = import_template_version(
        actor=SYSTEM, template=real.template, storage=real.storage, source=target.name, memory_mib=32
    )
    real.version = TemplateVersion.objects.get(pk=done(job).subject_id)
    vm = real.make("golden")
    write_secrets(Path(vm.disks.get().path), tmp_path)
    return vm


def partition(raw: Path) -> str:
    """The file system in it, as e2fsprogs call it."""
    return f"{raw}?offset={MIB}"


def convert(old, source, new, target, *options):
    subprocess.run(
        ["qemu-img", "convert", *options, "-f", old, "-O", new, str(source), str(target)],
        check=True, capture_output=True,
    )  # fmt: skip


def write_secrets(overlay: Path, folder: Path) -> None:
    """As the guest would: into the machine's own overlay, over its template."""
    raw, secret = folder / "work.raw", folder / "secret"
    convert("qcow2", overlay, "raw", raw)
    secret.write_text(SECRET * 2000)
    wanted = [
        f"write {secret} /etc/ssh/ssh_host_rsa_key", f"write {secret} /var/log/syslog",
        f"write {secret} /var/log/syslog.1", f"write {secret} /etc/machine-id",
    ]  # fmt: skip
    commands = "\n".join(line for one in wanted for line in _into(one)) + "\n"
    subprocess.run(
        ["debugfs", "-w", "-f", "-", partition(raw)], input=commands, text=True, check=True, capture_output=True
    )
    convert("raw", raw, "qcow2", overlay, "-n")


def _into(command: str) -> list[str]:
    verb, source, path = command.split()
    folder, name = path.rsplit("/", 1)
    return [f"cd {folder}", f"{verb} {source} {name}"]


def unpacked(path: str, folder: Path) -> Path:
    raw = folder / "seen.raw"
    convert("qcow2", path, "raw", raw)
    return raw


def debugfs(raw: Path, command: str) -> str:
    return subprocess.run(["debugfs", "-R", command, partition(raw)], check=True, capture_output=True, text=True).stdout


def test_the_secrets_of_the_machine_are_not_in_the_image_and_a_clone_boots(real, golden, tmp_path):
    before = unpacked(golden.disks.get().path, tmp_path)
    assert SECRET.encode() in before.read_bytes()
    job = make_template_version(actor=SYSTEM, vm=golden, notes="golden")
    finish(job)
    version = TemplateVersion.objects.get(pk=job.args["version"])
    assert (version.state, version.sealing["outcome"], version.sealing["left"]) == ("ready", "sealed", [])

    image = real.disks / version.volume
    told = subprocess.run(["qemu-img", "info", "-f", "qcow2", image], check=True, capture_output=True, text=True).stdout
    assert "backing file" not in told and "64 MiB" in told
    assert subprocess.run(["qemu-img", "check", "-f", "qcow2", image], capture_output=True).returncode == 0
    assert SECRET.encode() not in image.read_bytes()
    raw = unpacked(image, tmp_path)
    assert SECRET.encode() not in raw.read_bytes()
    assert "ssh_host_rsa_key" not in debugfs(raw, "ls /etc/ssh")
    assert "Size: 0" in debugfs(raw, "stat /etc/machine-id")
    assert debugfs(raw, "cat /home/ann/work.txt") == "WORK-OF-ANN"
    assert subprocess.run(["e2fsck", "-fn", partition(raw)], capture_output=True).returncode == 0

    real.version = version
    clone = real.make("clone", start=True)
    with real.line.serial(str(clone.pk)) as line:
        read_until(line, b"LAB-UP", timeout=30)
    # the machine it was made from is as it was
    assert SECRET.encode() in unpacked(golden.disks.get().path, tmp_path).read_bytes()


def test_a_running_machine_is_shut_down_copied_and_runs_again(real, golden):
    from broker.virt.actions.start_vm import start_vm

    done(start_vm(actor=SYSTEM, vm=golden))
    with real.line.serial(str(golden.pk)) as line:
        read_until(line, b"LAB-UP", timeout=30)
    job = make_template_version(actor=SYSTEM, vm=fresh(golden), shut_down=True)
    finish(job)
    assert job.state == "succeeded", job.cause
    assert real.line.observe_one(str(golden.pk)).power == "running"
    assert TemplateVersion.objects.get(pk=job.args["version"]).sealing["outcome"] == "sealed"


def test_a_running_machine_is_copied_while_it_runs_on_and_a_clone_boots(real, golden, tmp_path):
    """Written by a job that is begun anew in the midst of the copy, as after a worker's death."""
    from broker.jobs.runner import Runner
    from broker.virt.actions.start_vm import start_vm

    done(start_vm(actor=SYSTEM, vm=golden))
    with real.line.serial(str(golden.pk)) as line:
        read_until(line, b"LAB-UP", timeout=30)
    boot = real.line.observe_one(str(golden.pk)).boot_id
    job = make_template_version(actor=SYSTEM, vm=fresh(golden), live=True)

    def die(plan, step, when):
        if (step, when) == ("copy", "did"):
            raise Killed

    with pytest.raises(Killed):
        for _ in range(200):
            Runner(die).run(job.pk)
            job.refresh_from_db()
            job.next_run_at = job.lease_until = clock.now()
            job.save(update_fields=["next_run_at", "lease_until"])
    job.refresh_from_db()
    job.next_run_at = job.lease_until = clock.now()
    job.save(update_fields=["next_run_at", "lease_until"])
    finish(job)
    assert job.state == "succeeded", job.cause
    version = TemplateVersion.objects.get(pk=job.args["version"])
    assert (version.state, version.sealing["outcome"]) == ("ready", "sealed"), version.sealing
    seen = real.line.observe_one(str(golden.pk))
    assert (seen.power, seen.boot_id) == ("running", boot)
    assert real.line.checkpoints(str(golden.pk)) == ()
    raw = unpacked(real.disks / version.volume, tmp_path)
    assert SECRET.encode() not in raw.read_bytes() and debugfs(raw, "cat /home/ann/work.txt") == "WORK-OF-ANN"
    real.version = version
    clone = real.make("clone", start=True)
    with real.line.serial(str(clone.pk)) as line:
        read_until(line, b"LAB-UP", timeout=30)


def test_cancelled_while_it_copies_it_leaves_nothing(real, golden, monkeypatch):
    from broker.jobs.models import Job
    from broker.virt.drivers.libvirt import disks

    monkeypatch.setattr(disks, "_POLL", 0.001)
    monkeypatch.setattr("broker.jobs.context.PROGRESS_EVERY", 0.0)
    job = make_template_version(actor=SYSTEM, vm=golden)
    plan_asked = []

    def cancel(*args, **kwargs):
        plan_asked.append(Job.objects.filter(pk=job.pk).update(cancel_requested=True))
        return 0

    monkeypatch.setattr("broker.virt.plans.template_make._allocated", cancel)
    ended(job)
    assert plan_asked == [1] and job.state == "cancelled"
    assert [name for name in real.files() if job.args["version"] in name] == []
    assert VirtualMachine.objects.get(pk=golden.pk).state == "ready"


def test_a_script_runs_in_a_real_guest_through_its_agent(connection, storage, tiny_image, tmp_path):
    """Debian's agent in the tiny guest: what the sealing script takes out of it is gone."""
    disk = Path(storage.path) / "tiny.qcow2"
    shutil.copy(tiny_image, disk)
    spec = MachineSpec(
        uuid="5d1f6f5e-9d1c-4a44-9a55-1f3f0c6f5a01", name="tiny", vcpus=1, memory_mib=128,
        disks=(DiskSpec(path=str(disk), format="qcow2", target="vda"),),
    )  # fmt: skip
    connection.define(spec)
    connection.start(spec.uuid)
    wait_for_agent(connection, spec.uuid)

    def run(text):
        asked = connection.begin_in_guest(spec.uuid, text)
        deadline = time.monotonic() + 60
        while (ended := connection.ended_in_guest(spec.uuid, asked)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return ended

    made = run("mkdir -p /etc/ssh /var/log; echo key >/etc/ssh/ssh_host_rsa_key; echo id >/etc/machine-id; echo well")
    assert (made.code, made.output) == (0, "well\n")
    assert run(script()).code == 0
    left = run("ls /etc/ssh; wc -c </etc/machine-id; exit 3")
    assert (left.code, re.findall(r"\S+", left.output)) == (3, ["0"])


def wait_for_agent(connection, uuid: str) -> None:
    deadline = time.monotonic() + 90
    while connection.guest(uuid) is None:
        assert time.monotonic() < deadline, "the guest's agent does not answer"
        time.sleep(0.2)
