"""The crash matrix's scenarios of the image library; see scenarios.py."""

import hashlib
import subprocess
import tarfile
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from broker.core import clock
from broker.jobs.models import Job
from broker.virt import specs, uploads
from broker.virt.actions.adopt_vm import adopt_vm
from broker.virt.actions.append_image import append_image
from broker.virt.actions.change_cd import change_cd
from broker.virt.actions.create_image import create_image
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.finish_image import finish_image
from broker.virt.driver import PowerState
from broker.virt.models import FloatingDisk, ForeignMachine, Image, VirtualMachine
from broker.virt.plans.image_import import other_disk
from tests.crash.scenarios import ACTOR, Scenario, Stage, _numbers
from tests.jobs_help import finish
from tests.virt.test_ova import OVF, PLAIN

CONTENT = bytes(range(256)) * 4096


@cache
def _appliance() -> bytes:
    """An OVA of two disks, which are taken out and converted; the second becomes one of no machine."""
    words = PLAIN | {
        "href": "one.vmdk", "disks": '<Disk ovf:diskId="d2" ovf:fileRef="f2"/>',
        "file": '/><File ovf:id="f2" ovf:href="two.vmdk"',
    }  # fmt: skip
    packed = BytesIO()
    with TemporaryDirectory() as name, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folder = Path(name)
        (folder / "old.ovf").write_text(OVF.format(**words))
        (folder / "raw").write_bytes(CONTENT)
        tar.add(folder / "old.ovf", "old.ovf")
        for member in ("one.vmdk", "two.vmdk"):
            asked = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
            subprocess.run([*asked, folder / "raw", folder / member], check=True)
            tar.add(folder / member, member)
    return packed.getvalue()


def _import(stage: Stage):
    content = _appliance()
    image = create_image(
        actor=ACTOR, name=f"image-{next(_numbers)}", kind="disk", storage=stage.world.storage,
        size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    append_image(actor=ACTOR, image=image, offset=0, length=len(content), stream=BytesIO(content))
    return finish_image(actor=ACTOR, image=image), image


def _others(stage: Stage, image) -> tuple[list[str], list[str]]:
    """What there is of the second disk: files and rows."""
    volume = other_disk(image, 1).volume
    files = sorted(path.name for path in stage.disks.glob(f"{volume}*"))
    return files, list(FloatingDisk.objects.filter(volume=volume).values_list("volume", flat=True))


def _nothing_uploaded(image) -> bool:
    return not list(uploads.folder().glob(f"{image.pk}*"))


def _imported(stage: Stage, job: Job, image) -> None:
    image.refresh_from_db()
    assert (image.state, image.format, image.capacity_bytes) == ("ready", "ova", len(CONTENT))
    other = other_disk(image, 1).volume
    for volume in (image.volume, other):
        seen = stage.host.volume(specs.storage_spec(stage.world.storage), volume)
        assert (seen.format, seen.capacity) == ("qcow2", len(CONTENT))
        assert [path.name for path in stage.disks.glob(f"{volume}*")] == [volume]
    assert _others(stage, image) == ([other], [other])
    assert _nothing_uploaded(image)


def _gone(stage: Stage, job: Job, image) -> None:
    """Nothing of it is left, nor of the second disk, which goes with an import that is undone."""
    assert _others(stage, image) == ([], [])
    _deleted(stage, job, image)


def _deleted(stage: Stage, job: Job, image) -> None:
    assert not Image.objects.filter(pk=image.pk).exists()
    assert not list(stage.disks.glob(f"{image.volume}*"))
    assert _nothing_uploaded(image)


def _delete(stage: Stage):
    job, image = _import(stage)
    assert finish(job).state == "succeeded", Job.objects.get(pk=job.pk).error
    return delete_image(actor=ACTOR, image=image), image


def _adopt(stage: Stage):
    """A machine of Berth's that Berth forgot: its disk is in a storage, and its definition is somebody's."""
    vm = stage.machine(running=True)
    disk = vm.disks.get()
    foreign = ForeignMachine(
        host=stage.world.host, uuid=vm.pk, name=vm.name, power_state="running", vcpus=1, memory_bytes=16 << 20,
        observed_at=clock.now(),
    )  # fmt: skip
    VirtualMachine.objects.filter(pk=vm.pk).delete()
    foreign.save()
    before = stage.host.definition(str(vm.pk))
    return adopt_vm(actor=ACTOR, foreign=foreign), (vm.pk, disk.volume, before)


def _adopted(stage: Stage, job: Job, known) -> None:
    key, volume, before = known
    vm = VirtualMachine.objects.get(pk=key)
    assert (vm.state, vm.power_state, [disk.volume for disk in vm.disks.all()]) == ("ready", "running", [volume])
    assert stage.host.definition(str(key)) == before


def _not_adopted(stage: Stage, job: Job, known) -> None:
    key, _volume, before = known
    assert not VirtualMachine.objects.filter(pk=key).exists()
    assert stage.host.definition(str(key)) == before and stage.power(key) is PowerState.RUNNING


def _change_cd(stage: Stage):
    """Of a running machine: one CD for another."""
    cds = []
    for name in ("old", "new"):
        image = Image.objects.create(
            name=f"{name}-{next(_numbers)}", kind="iso", storage=stage.world.storage, size_bytes=4096, state="ready"
        )
        Image.objects.filter(pk=image.pk).update(volume=f"image-{image.pk}.iso")
        (stage.disks / f"image-{image.pk}.iso").write_bytes(bytes(4096))
        cds.append(Image.objects.get(pk=image.pk))
    job = create_vm(
        actor=ACTOR, name=f"m-{next(_numbers)}", version=stage.world.version, cd=cds[0], start=True, memory_mib=16
    )
    assert finish(job).state == "succeeded", Job.objects.get(pk=job.pk).error
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    return change_cd(actor=ACTOR, vm=vm, cd=cds[1]), (vm, cds)


def _has_cd(number: int):
    def check(stage: Stage, job: Job, known) -> None:
        vm, cds = known
        vm.refresh_from_db()
        assert vm.cd == cds[number]
        assert stage.host.chain(str(vm.pk), "sda")[0].endswith(f"/{cds[number].volume}")
        assert f"/{cds[number].volume}'" in stage.host.definition(str(vm.pk))

    return check


IMAGES: dict[str, Scenario] = {
    "image.import": Scenario(_import, _imported, _gone),
    "image.delete": Scenario(_delete, _deleted),
    "vm.change-cd": Scenario(_change_cd, _has_cd(1), _has_cd(0)),
    "vm.adopt": Scenario(_adopt, _adopted, _not_adopted),
}
