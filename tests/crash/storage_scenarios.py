"""The scenarios of emptying a storage, where one machine's disk moves to the storage of the others; of looking for
LUNs; and of a machine that is deleted, whose files are overwritten first.
"""

import itertools
from pathlib import Path

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt import specs
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.evacuate_storage import evacuate_storage
from broker.virt.actions.find_luns import find_luns
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, StorageDomain, VirtualMachine
from tests.jobs_help import finish
from tests.lab.target import Target
from tests.servers.slapd import free_port

ACTOR = Actor.system("crash test")
_numbers = itertools.count(1)


def evacuate(stage):
    number = next(_numbers)
    folder = stage.disks.parent / f"{stage.disks.name}-from-{number}"
    own = create_storage(actor=ACTOR, cluster=stage.world.cluster, name=folder.name, path=str(folder))
    stage.host.ensure_storage(specs.storage_spec(own))
    job = create_vm(actor=ACTOR, name=f"s-{number}", version=stage.world.version, storage=own, memory_mib=16)
    finish(job)
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    assert vm.disks.get().storage == own
    return evacuate_storage(actor=ACTOR, storage=own, target=stage.world.storage), (own, folder, vm)


def look_for_luns(stage):
    """One target for all of them; a cluster for each, since it is busy while somebody looks for it."""
    with stage.sharing:
        if "target" not in stage.kept:
            folder = stage.disks.parent / f"{stage.disks.name}-target"
            stage.kept["target"] = stage.leaving.enter_context(
                Target(folder, "127.0.0.1", luns=(16,), user="berth", password="twelve-chars-x", port=free_port())
            )
    target = stage.kept["target"]
    cluster = Cluster.objects.create(name=f"looking-{next(_numbers)}")
    wish = {"portal": target.portal, "user": target.user, "password": target.password}
    return find_luns(actor=ACTOR, cluster=cluster, **wish), target


def looked_for_luns(stage, job, target) -> None:
    assert [one["content"] for one in job.args["found"][0]["luns"]] == ["blank"]
    not_looked_for_luns(stage, job, target)


def not_looked_for_luns(stage, job, target) -> None:
    """Nothing was written, and the password is gone."""
    assert not any(target.path(1).read_bytes()) and job.args["secret"] == ""


def evacuated(stage, job, known) -> None:
    own, folder, vm = known
    disk = vm.disks.get()
    assert (StorageDomain.objects.get(pk=own.pk).state, disk.storage) == ("maintenance", stage.world.storage)
    assert (stage.disks / disk.volume).exists() and not list(folder.glob(f"{disk.pk}*"))


def not_evacuated(stage, job, known) -> None:
    """In use still; the disk is whole on one of the two, or its move is still being called back."""
    own, _, vm = known
    disk = vm.disks.select_related("storage").get()
    assert StorageDomain.objects.get(pk=own.pk).state == "active"
    assert Path(specs.volume_path(disk.storage, disk.volume)).exists()


def delete(stage):
    """A running machine whose files are to be overwritten; each of them has a second name that nobody else knows."""
    vm = stage.machine(running=True)
    volumes = stage.files_of(vm)
    for disk in vm.disks.all():
        edit_disk(actor=ACTOR, disk=disk, wipe_after_delete="on")
    for volume in volumes:
        (stage.disks.parent / f"kept-{volume}").hardlink_to(stage.disks / volume)
    return delete_vm(actor=ACTOR, vm=vm), volumes


def deleted(stage, job: Job, volumes) -> None:
    assert not VirtualMachine.objects.filter(pk=job.subject_id).exists()
    assert stage.power(job.subject_id) is PowerState.MISSING
    assert not any((stage.disks / volume).exists() for volume in volumes)
    for volume in volumes:
        left = stage.disks.parent / f"kept-{volume}"
        assert left.stat().st_size and not any(left.read_bytes())
