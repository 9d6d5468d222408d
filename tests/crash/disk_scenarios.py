"""The crash matrix's scenarios of disks and snapshots, and of changes while a machine runs; see scenarios.py."""

import hashlib
import json
import subprocess
from pathlib import Path
from uuid import uuid4

from broker.jobs.models import Job
from broker.virt import exports, image_formats, ova, queries, specs
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.export_vm import export_vm
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.limit_disk import limit_disk
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.share_disk import share_disk
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.driver import DiskLimits, PowerState
from broker.virt.models import Disk, DiskExport, FloatingDisk, PendingChange, StorageDomain, VirtualMachine
from tests.crash import storage_scenarios as of_storage
from tests.crash.scenarios import ACTOR, Scenario, Stage
from tests.jobs_help import finish


def _create_disk(stage: Stage):
    vm = stage.machine(running=True)
    job = create_disk(actor=ACTOR, vm=vm, size_bytes=1 << 20)
    return job, (vm, [disk.volume for disk in vm.disks.all()])


def _delete_disk(stage: Stage):
    """Off: the guest of 512 bytes never lets a disk go."""
    vm = stage.machine()
    finish(create_disk(actor=ACTOR, vm=vm, size_bytes=1 << 20))
    first, extra = vm.disks.all()
    return delete_disk(actor=ACTOR, disk=extra), (vm, [first.volume])


def _grow_disk(stage: Stage):
    vm = stage.machine(running=True)
    disk = vm.disks.get()
    return grow_disk(actor=ACTOR, disk=disk, size_bytes=3 << 20), (vm, disk)


def _grown(stage: Stage, job: Job, known) -> None:
    vm, disk = known
    disk.refresh_from_db()
    stage.host.power_off(str(vm.pk))  # QEMU lets go of the image
    seen = stage.host.volume(specs.storage_spec(stage.world.storage), disk.volume)
    assert seen.capacity == disk.size_bytes == 3 << 20


def _limit_disk(stage: Stage):
    vm = stage.machine(running=True)
    return limit_disk(actor=ACTOR, disk=vm.disks.get(), limits=DiskLimits(total_iops=500)), vm


def _limited(stage: Stage, job: Job, vm: VirtualMachine) -> None:
    assert vm.disks.get().limits["total_iops"] == 500
    assert "<total_iops_sec>500</total_iops_sec>" in stage.host.definition(str(vm.pk))


def _has_disks(stage: Stage, job: Job, known) -> None:
    """The machine's files, its rows, its definition and what QEMU has open are these volumes and no others."""
    vm, volumes = known
    disks = list(vm.disks.all())
    assert [disk.volume for disk in disks] == volumes
    assert stage.files_of(vm) == sorted(volumes)
    definition = stage.host.definition(str(vm.pk))
    for disk in disks:
        assert f"/{disk.volume}'" in definition
        assert stage.host.chain(str(vm.pk), disk.target)[0].endswith(f"/{disk.volume}")


def _has_both_disks(stage: Stage, job: Job, known) -> None:
    vm, _ = known
    volumes = [disk.volume for disk in vm.disks.all()]
    assert len(volumes) == 2
    _has_disks(stage, job, (vm, volumes))


def _had_one_disk(stage: Stage, job: Job, known) -> None:
    vm, volumes = known
    _has_disks(stage, job, (vm, volumes[:1]))


def _snapshots_agree(stage: Stage, vm: VirtualMachine, count: int) -> None:
    """Files, rows, the definition and the chain on the host are of one mind, and there are `count` snapshots."""
    snapshots = list(vm.snapshots.prefetch_related("disks"))
    assert len(snapshots) == count
    disk = vm.disks.get()
    frozen = {one.volume: one.below for snapshot in snapshots for one in snapshot.disks.all()}
    assert stage.files_of(vm) == sorted([disk.volume, *frozen])
    memories = {path.name for path in stage.disks.glob("*.memory")}
    assert {snapshot.memory for snapshot in snapshots if snapshot.memory} <= memories
    line, below = [disk.volume], disk.below
    while below:
        line.append(below)
        below = frozen[below]
    chain = [path.rpartition("/")[2] for path in stage.host.chain(str(vm.pk), disk.target)]
    assert chain[: len(line)] == line
    assert f"/{disk.volume}'" in stage.host.definition(str(vm.pk))


def _take_snapshot(stage: Stage):
    vm = stage.machine(running=True)
    return take_snapshot(actor=ACTOR, vm=_seen(vm), name="one", memory=True), vm


def _revert(stage: Stage):
    vm = stage.machine(running=True)
    finish(take_snapshot(actor=ACTOR, vm=_seen(vm), name="one", memory=True))
    return revert_snapshot(actor=ACTOR, snapshot=vm.snapshots.get()), vm


def _delete_snapshot(stage: Stage):
    vm = stage.machine(running=True)
    for name in ("one", "two"):
        finish(take_snapshot(actor=ACTOR, vm=_seen(vm), name=name))
    return delete_snapshot(actor=ACTOR, snapshot=vm.snapshots.get(name="two")), vm


def _end_preview(stage: Stage):
    """Undone while it runs on what it tries."""
    vm = stage.machine()
    finish(take_snapshot(actor=ACTOR, vm=_seen(vm), name="one"))
    before = vm.disks.get().volume
    finish(preview_snapshot(actor=ACTOR, snapshot=vm.snapshots.get(), start=True))
    assert vm.disks.get().volume != before and stage.power(vm.pk) is PowerState.RUNNING
    return undo_preview(actor=ACTOR, vm=_seen(vm)), (vm, before)


def _preview_undone(stage: Stage, job: Job, known) -> None:
    vm, before = known
    assert vm.disks.get().volume == before
    _snapshots(1, running=False)(stage, job, vm)


def _move_disks(stage: Stage):
    """Of a running machine, to a directory beside."""
    folder = stage.disks.parent / f"{stage.disks.name}-other"
    cluster = stage.world.cluster
    with stage.sharing:
        other = StorageDomain.objects.filter(path=str(folder)).first() or create_storage(
            actor=ACTOR, cluster=cluster, name=f"{stage.disks.name}-other", path=str(folder)
        )
    vm = stage.machine(running=True)
    disk = vm.disks.get()
    return move_disks(actor=ACTOR, vm=_seen(vm), storage=other), (vm, folder, disk)


def _moved(stage: Stage, job: Job, known) -> None:
    vm, folder, was = known
    disk = vm.disks.get()
    assert (disk.path, disk.generation) == (f"{folder}/{disk.volume}", was.generation + 1)
    _only_there(stage, vm, disk, sorted(folder.glob(f"{was.pk}*")), [])


def _not_moved(stage: Stage, job: Job, known) -> None:
    """Cancelled: it is where it was, or had been put over already; one whole disk either way."""
    vm, folder, was = known
    disk = vm.disks.get()
    if disk.volume == was.volume:
        _only_there(stage, vm, disk, [stage.disks / was.volume], sorted(folder.glob(f"{was.pk}*")))
    else:
        _moved(stage, job, known)


def _only_there(stage: Stage, vm: VirtualMachine, disk: Disk, files: list[Path], none: list[Path]) -> None:
    assert [str(path) for path in files] == [disk.path or str(stage.disks / disk.volume)]
    assert none == [] and (stage.files_of(vm) == []) is (files[0].parent != stage.disks)
    assert stage.host.chain(str(vm.pk), disk.target)[0] == str(files[0])
    assert f"{files[0]}'" in stage.host.definition(str(vm.pk))
    assert stage.power(vm.pk) is PowerState.RUNNING


def _examine(stage: Stage):
    """Off, with a definition that names the image below."""
    vm = stage.machine()
    finish(take_snapshot(actor=ACTOR, vm=_seen(vm), name="one"))
    disk = vm.disks.get()
    Disk.objects.filter(pk=disk.pk).update(volume=disk.below, path="")
    stage.host.define(specs.machine_spec(queries.whole_machines().get(pk=vm.pk)))
    Disk.objects.filter(pk=disk.pk).update(volume=disk.volume, path=disk.path)
    return examine_disks(actor=ACTOR, vm=_seen(vm), mend=True), vm


def _export(stage: Stage):
    """As a snapshot holds it, while it runs."""
    vm = stage.machine(running=True)
    finish(take_snapshot(actor=ACTOR, vm=_seen(vm), name="one"))
    return export_disk(actor=ACTOR, disk=vm.disks.get(), snapshot=vm.snapshots.get()), vm


def _exported(stage: Stage, job: Job, vm: VirtualMachine) -> None:
    export, path = DiskExport.objects.get(pk=job.args["export"]), exports.path_of(job.args["export"])
    assert export.ready_at and export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    asked = ["qemu-img", "info", "-f", "qcow2", "--output=json", str(path)]
    told = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    assert told["virtual-size"] == 1 << 20 and "backing-filename" not in told
    path.unlink()
    _nothing_exported(stage, job, vm)


def _nothing_exported(stage: Stage, job: Job, vm: VirtualMachine) -> None:
    assert not list(stage.disks.glob(f"export-{job.args['export']}*"))
    assert not list(exports.folder().glob(f"{job.args['export']}*"))
    _snapshots(1, running=True)(stage, job, vm)


def _export_vm(stage: Stage):
    """Off, with two disks."""
    vm = stage.machine()
    finish(create_disk(actor=ACTOR, vm=vm, size_bytes=1 << 20))
    return export_vm(actor=ACTOR, vm=_seen(vm)), (vm, [disk.volume for disk in vm.disks.all()])


def _exported_vm(stage: Stage, job: Job, known) -> None:
    export, path = DiskExport.objects.get(pk=job.args["export"]), exports.path_of(job.args["export"])
    assert export.ready_at and export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for number in (0, 1):
        inner = path.with_name(f"inner-{path.name}")
        assert ova.take_disk(path, inner, lambda share: None, number=number)["disks"] == 2
        assert image_formats.look(inner, "disk") == image_formats.Looked("vmdk", 1 << 20)
        inner.unlink()
    path.unlink()
    _no_vm_exported(stage, job, known)


def _no_vm_exported(stage: Stage, job: Job, known) -> None:
    assert not list(stage.disks.glob(f"export-{job.args['export']}*"))
    assert not list(exports.folder().glob(f"{job.args['export']}*"))
    _has_disks(stage, job, known)


def _delete_floating(stage: Stage):
    """One that was taken out of a machine, which stays as it is."""
    vm = stage.machine()
    finish(create_disk(actor=ACTOR, vm=vm, size_bytes=1 << 20))
    disk = vm.disks.last()
    finish(detach_disk(actor=ACTOR, disk=disk))
    assert stage.files_of(vm) == [vm.disks.get().volume] and (stage.disks / disk.volume).exists()
    return delete_floating_disk(actor=ACTOR, disk=FloatingDisk.objects.get(pk=disk.pk)), disk


def _floating_deleted(stage: Stage, job: Job, disk: Disk) -> None:
    assert not FloatingDisk.objects.filter(pk=disk.pk).exists() and not (stage.disks / disk.volume).exists()


def _share_disk(stage: Stage):
    """One that was taken out of a machine, with a word on it that both formats have to keep."""
    vm = stage.machine()
    finish(create_disk(actor=ACTOR, vm=vm, size_bytes=1 << 20))
    disk = vm.disks.last()
    finish(detach_disk(actor=ACTOR, disk=disk))
    path = stage.disks / disk.volume
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 4096 512", str(path)], check=True, capture_output=True
    )
    return share_disk(actor=ACTOR, disk=FloatingDisk.objects.get(pk=disk.pk)), disk


def _shared(stage: Stage, job: Job, disk: Disk) -> None:
    now = FloatingDisk.objects.get(pk=disk.pk)
    assert now.shared and now.volume.endswith(".raw")
    _only_image_of(stage, now)


def _not_shared(stage: Stage, job: Job, disk: Disk) -> None:
    """Cancelled: it is one of the two, and whole."""
    _only_image_of(stage, FloatingDisk.objects.get(pk=disk.pk))


def _only_image_of(stage: Stage, disk: FloatingDisk) -> None:
    assert [path.name for path in stage.disks.glob(f"{disk.pk}.*")] == [disk.volume]
    asked = ["qemu-io", "-r", "-f", disk.format, "-c", "read -P 0x5a 4096 512", str(stage.disks / disk.volume)]
    assert "failed" not in subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def _adopt_file(stage: Stage):
    """The file's name is its own: what any job at work names counts as referred to."""
    folder, storage = _own_storage(stage, "adopt")
    file = f"{folder.name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / file), "3M"], check=True)
    return adopt_file(actor=ACTOR, storage=storage, file=file, name="found"), folder / file


def _adopted(stage: Stage, job: Job, file: Path) -> None:
    disk = FloatingDisk.objects.get(pk=job.args["disk"])
    assert (disk.name, disk.volume, disk.size_bytes) == ("found", file.name, 3 << 20)
    assert file.exists()


def _not_adopted(stage: Stage, job: Job, file: Path) -> None:
    assert not FloatingDisk.objects.filter(pk=job.args["disk"]).exists() and file.exists()


def _own_storage(stage: Stage, name: str) -> tuple[Path, StorageDomain]:
    """Of the one host: others of the matrix do not answer."""
    folder = stage.disks.parent / f"{stage.disks.name}-{name}-{uuid4().hex[:8]}"
    folder.mkdir()
    return folder, create_storage(
        actor=ACTOR, cluster=stage.world.cluster, name=folder.name, path=str(folder), host=stage.world.host
    )


def _tidy(stage: Stage):
    """A storage of its own with one file too many."""
    folder, storage = _own_storage(stage, "tidy")
    for name in ("theirs.qcow2", "kept.qcow2"):
        (folder / name).write_bytes(b"x" * 4096)
    return tidy_storage(actor=ACTOR, storage=storage, remove=["theirs.qcow2"]), folder


def _tidied(stage: Stage, job: Job, folder) -> None:
    assert sorted(path.name for path in folder.glob("*.qcow2")) == ["kept.qcow2"]
    assert [one["name"] for one in job.args["found"]] == ["kept.qcow2"]


def _seen(vm: VirtualMachine) -> VirtualMachine:
    vm.refresh_from_db()
    return vm


def _snapshots(count: int, *, running: bool):
    def check(stage: Stage, job: Job, vm) -> None:
        _snapshots_agree(stage, vm, count)
        assert stage.power(vm.pk) is (PowerState.RUNNING if running else PowerState.OFF)

    return check


def _change(stage: Stage):
    vm = stage.machine()
    edit_vm(actor=ACTOR, vm=_seen(vm), options={"max_vcpus": 3, "max_memory_mib": 512})
    finish(start_vm(actor=ACTOR, vm=_seen(vm)))
    edit_vm(actor=ACTOR, vm=_seen(vm), vcpus=2, memory_mib=144)
    return Job.objects.get(subject_id=vm.pk, plan="vm.change"), vm


def _changed(stage: Stage, job: Job, vm: VirtualMachine) -> None:
    """QEMU, the row and the definition say the same, and nothing waits."""
    has = stage.host.running(str(vm.pk))
    assert (has.vcpus, has.memory_mib) == (2, 144)
    assert (_seen(vm).vcpus, vm.memory_mib) == (2, 144) and not PendingChange.objects.filter(vm=vm).exists()
    assert "current='2'" in stage.host.definition(str(vm.pk))


def _not_changed(stage: Stage, job: Job, vm: VirtualMachine) -> None:
    """Cancelled before it began: it waits for the next start."""
    if PendingChange.objects.filter(vm=vm).exists():
        assert stage.host.running(str(vm.pk)).vcpus in (1, 2)
        assert _seen(vm).vcpus == 1
    else:
        _changed(stage, job, vm)


DISKS: dict[str, Scenario] = {
    "cluster.look-iscsi": Scenario(
        of_storage.look_for_luns, of_storage.looked_for_luns, of_storage.not_looked_for_luns
    ),
    "vm.change": Scenario(_change, _changed, _not_changed),
    "vm.create-disk": Scenario(_create_disk, _has_disks, _had_one_disk),
    "vm.delete-disk": Scenario(_delete_disk, _has_disks, _has_both_disks),
    "vm.grow-disk": Scenario(_grow_disk, _grown),
    "vm.limit-disk": Scenario(_limit_disk, _limited),
    "vm.examine": Scenario(_examine, _snapshots(1, running=False)),
    "vm.export-disk": Scenario(_export, _exported, _nothing_exported),
    "vm.export": Scenario(_export_vm, _exported_vm, _no_vm_exported),
    "disk.share": Scenario(_share_disk, _shared, _not_shared),
    "disk.delete": Scenario(_delete_floating, _floating_deleted),
    "storage.adopt-file": Scenario(_adopt_file, _adopted, _not_adopted),
    "storage.tidy": Scenario(_tidy, _tidied),
    "vm.move-disks": Scenario(_move_disks, _moved, _not_moved),
    "vm.take-snapshot": Scenario(_take_snapshot, _snapshots(1, running=True), _snapshots(0, running=True)),
    "vm.revert": Scenario(_revert, _snapshots(1, running=True), _snapshots(1, running=False)),
    "vm.end-preview": Scenario(_end_preview, _preview_undone),
    "vm.delete-snapshot": Scenario(_delete_snapshot, _snapshots(1, running=True), _snapshots(2, running=True)),
}
