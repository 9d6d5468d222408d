"""For each plan: how a job of it comes about, and what must be true from outside when it has ended.

A plan without a scenario fails the suite (test_matrix.py). `done` is checked after success, `undone` after the
job was cancelled and taken back; both look at libvirt and the files, not at what Berth says.
"""

import itertools
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from broker.access.actor import Actor
from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup, BackupTarget
from broker.jobs.models import Job
from broker.virt import specs, storage_notes
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.reset_vm import reset_vm
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.driver import HostConnection, PowerState
from broker.virt.models import StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.states import VmState
from tests.crash import hosts_scenarios as of_hosts
from tests.crash import storage_scenarios as of_storage
from tests.crash.pair import Pair
from tests.jobs_help import finish
from tests.world import World

ACTOR = Actor.system("crash test")
_numbers = itertools.count(1)


@dataclass
class Stage:
    """Where a scenario plays: the rows, the real host, its disks. What several share is made under `sharing`."""

    world: World
    host: HostConnection
    disks: Path
    images: Path
    pair: Pair
    leaving: ExitStack = field(default_factory=ExitStack)
    kept: dict[str, object] = field(default_factory=dict)
    sharing: threading.Lock = field(default_factory=threading.Lock)

    def machine(self, *, running: bool = False, version: TemplateVersion | None = None) -> VirtualMachine:
        version = version or self.world.version
        job = create_vm(actor=ACTOR, name=f"m-{next(_numbers)}", version=version, start=running, memory_mib=16)
        finish(job)
        vm = VirtualMachine.objects.get(pk=job.subject_id)
        assert vm.state == VmState.READY, Job.objects.get(pk=job.pk).error
        return vm

    def power(self, uuid) -> PowerState:
        return self.host.observe_one(str(uuid)).power

    def files_of(self, vm: VirtualMachine) -> list[str]:
        """The files in the storage that belong to the machine's disks, whatever their generation."""
        ids = [str(pk) for pk in vm.disks.values_list("pk", flat=True)]
        return sorted(path.name for path in self.disks.iterdir() if path.name.split(".")[0] in ids)


@dataclass
class Scenario:
    """`begin` makes the job and returns it with whatever `done` and `undone` need to know."""

    begin: Callable[[Stage], tuple[Job, object]]
    done: Callable[[Stage, Job, object], None]
    undone: Callable[[Stage, Job, object], None] | None = None


def _create(stage: Stage):
    """Linked clones and full copies in turn."""
    number = next(_numbers)
    job = create_vm(
        actor=ACTOR, name=f"m-{number}", version=stage.world.version, start=True, memory_mib=16, linked=bool(number % 2)
    )
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    return job, [disk.volume for disk in vm.disks.all()]


def _created(stage: Stage, job: Job, volumes) -> None:
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    assert vm.state == VmState.READY
    assert [seen.name for seen in stage.host.observe() if seen.mark == str(vm.pk)] == [vm.name]
    assert stage.power(vm.pk) is PowerState.RUNNING
    assert stage.files_of(vm) == volumes


def _not_created(stage: Stage, job: Job, volumes) -> None:
    assert not VirtualMachine.objects.filter(pk=job.subject_id).exists()
    assert stage.power(job.subject_id) is PowerState.MISSING
    assert not any((stage.disks / volume).exists() for volume in volumes)


def _kept(stage: Stage, job: Job, volumes) -> None:
    """Cancelled after the power was cut: the machine is off and whole."""
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    found = vm.state, stage.power(vm.pk), stage.files_of(vm)
    assert found == (VmState.READY, PowerState.OFF, volumes), found


def _power(action, *, running: bool, before=None, **args):
    def begin(stage: Stage):
        vm = stage.machine(running=running)
        if before:
            finish(before(actor=ACTOR, vm=vm))
            vm.refresh_from_db()
        boot = stage.host.observe_one(str(vm.pk)).boot_id
        return action(actor=ACTOR, vm=vm, **args), (vm, boot)

    return begin


def _ends(power: PowerState, *, same_boot: bool | None = None):
    def done(stage: Stage, job: Job, known) -> None:
        vm, boot = known
        seen = stage.host.observe_one(str(vm.pk))
        assert seen.power is power
        if same_boot is not None:
            assert (seen.boot_id == boot) is same_boot
        vm.refresh_from_db()
        assert (vm.state, vm.power_state) == (VmState.READY, power)
        assert stage.files_of(vm) == [disk.volume for disk in vm.disks.all()]

    return done


def _reset(stage: Stage):
    vm = stage.machine(running=True)
    return reset_disks(actor=ACTOR, vm=vm, start=True), vm


def _was_reset(stage: Stage, job: Job, vm) -> None:
    disk = vm.disks.get()
    assert disk.generation == 1
    assert stage.files_of(vm) == [disk.volume_name(1)]
    assert disk.volume_name(1) in stage.host.definition(str(vm.pk))
    assert stage.power(vm.pk) is PowerState.RUNNING


def _not_reset(stage: Stage, job: Job, vm) -> None:
    disk = vm.disks.get()
    assert stage.files_of(vm) == [disk.volume]
    assert disk.volume in stage.host.definition(str(vm.pk))


def _import(stage: Stage):
    from broker.virt.actions.import_template_version import import_template_version

    where = {"template": stage.world.template, "storage": stage.world.storage}
    job = import_template_version(actor=ACTOR, **where, source="guest.qcow2", vcpus=1, memory_mib=16)
    return job, TemplateVersion.objects.get(pk=job.subject_id).volume


def _imported(stage: Stage, job: Job, volume) -> None:
    assert stage.host.volume(specs.storage_spec(stage.world.storage), volume).format == "qcow2"
    assert TemplateVersion.objects.get(pk=job.subject_id).state == "ready"
    assert not (stage.disks / f"{volume}.part").exists()


def _not_imported(stage: Stage, job: Job, volume) -> None:
    assert not TemplateVersion.objects.filter(pk=job.subject_id).exists()
    assert not list(stage.disks.glob(f"{volume}*"))


def _make_version(stage: Stage):
    from broker.virt.actions.make_template_version import make_template_version

    vm = stage.machine()
    job = make_template_version(actor=ACTOR, vm=vm)
    return job, TemplateVersion.objects.get(pk=job.args["version"])


def _version_made(stage: Stage, job: Job, version) -> None:
    _machine_as_it_was(stage, job)
    version.refresh_from_db()
    assert version.state == "ready"
    assert version.sealing["outcome"] == "unsealed"  # the guest of 512 bytes has no file system
    made = stage.host.volume(specs.storage_spec(stage.world.storage), version.volume)
    assert (made.format, made.backing, made.capacity) == ("qcow2", "", 1 << 20)
    assert [path.name for path in stage.disks.glob(f"*{version.volume}*")] == [version.volume]
    assert not (Path(settings.DATA_DIR) / "sealing" / str(job.pk)).exists()


def _version_not_made(stage: Stage, job: Job, version) -> None:
    _machine_as_it_was(stage, job)
    assert not TemplateVersion.objects.filter(pk=version.pk).exists()
    assert not list(stage.disks.glob(f"*{version.volume}*"))


def _machine_as_it_was(stage: Stage, job: Job) -> None:
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    assert (vm.state, stage.power(vm.pk)) == (VmState.READY, PowerState.OFF)
    assert stage.files_of(vm) == [disk.volume for disk in vm.disks.all()]


def _delete_version(stage: Stage):
    from broker.virt.actions.delete_template_version import delete_template_version

    job, volume = _import(stage)
    finish(job)
    version = TemplateVersion.objects.get(pk=job.subject_id)
    assert version.state == "ready", Job.objects.get(pk=job.pk).error
    return delete_template_version(actor=ACTOR, version=version), volume


def _detach(stage: Stage):
    """A storage of its own with one machine on it, in maintenance."""
    from broker.virt.actions.create_storage import create_storage
    from broker.virt.actions.detach_storage import detach_storage
    from broker.virt.actions.maintain_storage import maintain_storage

    number = next(_numbers)
    folder = stage.disks.parent / f"detach-{number}"
    storage = create_storage(actor=ACTOR, cluster=stage.world.cluster, name=f"detach-{number}", path=str(folder))
    made = create_vm(
        actor=ACTOR, name=f"m-{number}", version=stage.world.version, storage=storage, memory_mib=16, linked=False
    )
    finish(made)
    maintain_storage(actor=ACTOR, storage=storage)
    return detach_storage(actor=ACTOR, storage=storage), (folder, VirtualMachine.objects.get(pk=made.subject_id))


def _noted(folder: Path) -> dict:
    return storage_notes.newest([path.read_bytes() for path in folder.glob("berth-notes-*")]).document


def _detached(stage: Stage, job: Job, known) -> None:
    folder, vm = known
    assert not StorageDomain.objects.filter(pk=job.subject_id).exists()
    assert not VirtualMachine.objects.filter(pk=vm.pk).exists() and stage.power(vm.pk) is PowerState.MISSING
    assert [one["id"] for one in _noted(folder)["machines"]] == [str(vm.pk)] and _noted(folder)["state"] == "detached"
    assert len(list(folder.glob("*.qcow2"))) == 1
    shutil.rmtree(folder)


def _not_detached(stage: Stage, job: Job, known) -> None:
    folder, vm = known
    assert StorageDomain.objects.get(pk=job.subject_id).state == "maintenance"
    assert VirtualMachine.objects.filter(pk=vm.pk).exists() and _noted(folder)["state"] == "attached"


def _target(stage: Stage) -> BackupTarget:
    path = f"{stage.disks}-backups"
    with stage.sharing:
        found = BackupTarget.objects.filter(path=path).first()
        return found or create_target(actor=ACTOR, cluster=stage.world.cluster, name="nas", path=path)


def _backed_up(stage: Stage, vm: VirtualMachine) -> Backup:
    job = back_up(actor=ACTOR, vm=vm, target=_target(stage))
    finish(job)
    return Backup.objects.get(pk=job.args["backup"], state="ready")


def _files_of(stage: Stage, backup: Backup | None, key: str = "") -> list[str]:
    return sorted(path.name for path in Path(f"{stage.disks}-backups").glob(f"*{key or backup.pk}*"))


def _back_up(stage: Stage):
    vm = stage.machine(running=True)
    first = _backed_up(stage, vm)
    return back_up(actor=ACTOR, vm=vm, target=_target(stage)), first


def _was_backed_up(stage: Stage, job: Job, first) -> None:
    backup = Backup.objects.get(pk=job.args["backup"])
    assert (backup.state, backup.parent) == ("ready", first), backup.reason
    assert _files_of(stage, backup) == [disk.volume for disk in backup.disks.all()]
    assert stage.host.checkpoints(str(backup.vm_key)) == (backup.checkpoint,)
    assert stage.power(backup.vm_key) is PowerState.RUNNING


def _not_backed_up(stage: Stage, job: Job, first) -> None:
    assert not Backup.objects.filter(pk=job.args["backup"]).exists()
    assert _files_of(stage, None, job.args["backup"]) == []
    assert stage.host.checkpoints(str(first.vm_key)) == (first.checkpoint,)


def _delete_backup(stage: Stage):
    backup = _backed_up(stage, stage.machine(running=True))
    return delete_backup(actor=ACTOR, backup=backup), str(backup.pk)


def _backup_deleted(stage: Stage, job: Job, key) -> None:
    assert not Backup.objects.filter(pk=key).exists()
    assert _files_of(stage, None, key) == []


def _verify_backup(stage: Stage):
    backup = _backed_up(stage, stage.machine(running=True))
    return verify_backup(actor=ACTOR, backup=backup), backup


def _verified(stage: Stage, job: Job, backup) -> None:
    backup.refresh_from_db()
    assert backup.verified_at
    _not_verified(stage, job, backup)


def _not_verified(stage: Stage, job: Job, backup) -> None:
    assert _files_of(stage, backup) == [disk.volume for disk in backup.disks.all()]


def _restore(stage: Stage):
    vm = stage.machine(running=True)
    return restore_backup(actor=ACTOR, backup=_backed_up(stage, vm), vm=vm, start=True), vm


def _restore_new(stage: Stage):
    backup = _backed_up(stage, stage.machine(running=True))
    job = restore_as_new(
        actor=ACTOR, backup=backup, storage=stage.world.storage, name=f"m-{next(_numbers)}", start=True
    )
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    return job, [disk.volume for disk in vm.disks.all()]


def _migrate(stage: Stage):
    with stage.pair.alone:
        with stage.pair.target_closed():
            vm = stage.machine(running=True, version=stage.pair.version)
        return migrate_vm(actor=ACTOR, vm=vm), vm


def _migrated(stage: Stage, job: Job, vm) -> None:
    vm.refresh_from_db()
    assert (vm.host, vm.moving_to) == (stage.pair.right, None)
    assert stage.power(vm.pk) is PowerState.MISSING
    assert stage.pair.there.observe_one(str(vm.pk)).power is PowerState.RUNNING
    assert vm.power_state == PowerState.RUNNING


def _not_migrated(stage: Stage, job: Job, vm) -> None:
    """Cancelled in time it stayed; cancelled when it had arrived it is there, and nowhere twice."""
    vm.refresh_from_db()
    assert vm.moving_to is None
    if vm.host == stage.pair.right:
        _migrated(stage, job, vm)
        return
    assert stage.power(vm.pk) is PowerState.RUNNING
    assert stage.pair.there.observe_one(str(vm.pk)).power is PowerState.MISSING


SCENARIOS: dict[str, Scenario] = {
    "host.sleep": Scenario(of_hosts.sleep, of_hosts.slept, of_hosts.not_slept),
    "host.wake": Scenario(of_hosts.wake, of_hosts.woken),
    "host.ask": Scenario(of_hosts.ask, of_hosts.asked),
    "host.fence": Scenario(of_hosts.fence, of_hosts.fenced, of_hosts.not_fenced),
    "host.clean": Scenario(of_hosts.clean, of_hosts.cleaned),
    "storage.evacuate": Scenario(of_storage.evacuate, of_storage.evacuated, of_storage.not_evacuated),
    "host.evacuate": Scenario(of_hosts.evacuate, of_hosts.evacuated, of_hosts.not_evacuated),
    "vm.create": Scenario(_create, _created, _not_created),
    "vm.delete": Scenario(of_storage.delete, of_storage.deleted, _kept),
    "vm.start": Scenario(_power(start_vm, running=False), _ends(PowerState.RUNNING)),
    "vm.power-off": Scenario(_power(power_off_vm, running=True), _ends(PowerState.OFF)),
    "vm.shutdown": Scenario(_power(shutdown_vm, running=True, give_up_after=300), _ends(PowerState.OFF)),
    "vm.reboot": Scenario(_power(reboot_vm, running=True), _ends(PowerState.RUNNING)),
    "vm.reset": Scenario(_power(reset_vm, running=True), _ends(PowerState.RUNNING)),
    "vm.pause": Scenario(_power(pause_vm, running=True), _ends(PowerState.PAUSED, same_boot=True)),
    "vm.resume": Scenario(_power(resume_vm, running=True, before=pause_vm), _ends(PowerState.RUNNING, same_boot=True)),
    "vm.suspend": Scenario(_power(suspend_vm, running=True), _ends(PowerState.SUSPENDED)),
    "vm.migrate": Scenario(_migrate, _migrated, _not_migrated),
    "vm.reset-disks": Scenario(_reset, _was_reset, _not_reset),
    "storage.detach": Scenario(_detach, _detached, _not_detached),
    "backup.make": Scenario(_back_up, _was_backed_up, _not_backed_up),
    "backup.delete": Scenario(_delete_backup, _backup_deleted),
    "backup.verify": Scenario(_verify_backup, _verified, _not_verified),
    "backup.restore": Scenario(_restore, _was_reset, _not_reset),
    "backup.restore-new": Scenario(_restore_new, _created, _not_created),
    "template.import": Scenario(_import, _imported, _not_imported),
    "template.make": Scenario(_make_version, _version_made, _version_not_made),
    "template.delete-version": Scenario(_delete_version, _not_imported),
}
