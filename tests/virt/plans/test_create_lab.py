"""Machines made of what people bring along, on a real host: uploaded, looked at, converted, started, read back."""

import hashlib
import json
import subprocess
import tarfile
import time
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import libvirt
import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.virt import hosts, uploads
from broker.virt.actions.append_image import append_image
from broker.virt.actions.create_image import create_image
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.finish_image import finish_image
from broker.virt.models import FloatingDisk, Image
from broker.virt.observe import apply
from portal.models import ApiToken
from tests.jobs_help import finish
from tests.lab import foreign, guest
from tests.portal.api.conftest import Caller
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_lab import Real
from tests.virt.plans.test_make_lab import wait_for_agent
from tests.virt.test_ova import OVF, PLAIN

pytestmark = pytest.mark.lab


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


def api(real) -> Caller:
    return Caller(ApiToken.objects.create(user=real.world.root, name="test")[1])


def asked(answer, status: int = 202) -> dict:
    assert answer.status_code == status, answer.content
    return answer.json()


def finished(told: dict) -> Job:
    return done(Job.objects.get(pk=told["id"]))


def test_an_uploaded_system_reads_what_it_is_told(real, tiny_image):
    """Over the API: a real Linux, in pieces, made larger, with a CD of words that it mounts and reads."""
    caller, content = api(real), Path(tiny_image).read_bytes()
    wish = {
        "name": "tiny", "kind": "disk", "storage": str(real.storage.pk), "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    image = asked(caller.post("images/", wish), 201)
    for offset in range(0, len(content), 8 << 20):
        sent = caller.client.put(
            f"/api/v1/images/{image['id']}/data/", content[offset : offset + (8 << 20)],
            content_type="application/octet-stream", headers={"Upload-Offset": str(offset)},
        )  # fmt: skip
        asked(sent, 200)
    finished(asked(caller.post(f"images/{image['id']}/finish/")))
    wish = {
        "name": "web", "image": image["id"], "disk_bytes": 256 << 20, "memory_mib": 128, "start": True,
        "network": str(real.network.pk),
        "cloud_init": {
            "user": "alice", "password": "correct horse", "script": "#!/bin/sh\necho hello\n", "packages": ["htop"]
        },
    }  # fmt: skip
    vm = fresh(finished(asked(caller.post("vms/", wish))).subject_id)
    assert "alice" not in vm.cloud_init and "correct horse" not in str(Job.objects.values_list("args", flat=True))
    wait_for_agent(real.line, str(vm.pk))
    told = _in_guest(real, vm, "mount -t iso9660 -o ro /dev/vdb /mnt && cat /mnt/user-data && cat /sys/block/vda/size")
    assert told.code == 0, told.output
    config, _, size = told.output.removeprefix("#cloud-config\n").rpartition("}\n")
    assert int(size) * 512 == 256 << 20
    read = json.loads(config + "}")
    assert read["hostname"] == "web" and read["packages"] == ["htop"] and read["users"][1]["name"] == "alice"
    assert read["users"][1]["hashed_passwd"].startswith("$6$") and "correct horse" not in told.output
    _told_again(real, caller, vm)
    assert caller.delete(f"images/{image['id']}/").status_code == 202  # the machine has a copy of its own
    finished(asked(caller.delete(f"vms/{vm.pk}/")))
    assert not [name for name in real.files() if str(vm.pk) in name]


def _told_again(real, caller: Caller, vm) -> None:
    """The guest that starts again finds another instance on its CD, which cloud-init takes for a first start."""
    look = "mount -t iso9660 -o ro /dev/vdb /mnt && cat /mnt/meta-data && cat /mnt/user-data"
    assert f'"instance-id": "{vm.pk}"' in _in_guest(real, vm, "cat /mnt/meta-data").output
    words = {"user": "bob", "password": "other horse", "packages": ["nginx"]}
    for wish, user in (({"cloud_init_again": True}, "alice"), ({"cloud_init": words}, "bob")):
        finished(asked(caller.post(f"vms/{vm.pk}/power-off/")))
        finished(asked(caller.post(f"vms/{vm.pk}/run-once/", wish)))
        wait_for_agent(real.line, str(vm.pk))
        told = _in_guest(real, vm, look)
        assert told.code == 0 and f'"name": "{user}"' in told.output and "other horse" not in told.output
        assert f'"instance-id": "{vm.pk}-' in told.output
    assert "bob" not in str(Job.objects.values_list("args", flat=True))


def _in_guest(real, vm, text: str):
    begun = real.line.begin_in_guest(str(vm.pk), text)
    deadline = time.monotonic() + 60
    while (ended := real.line.ended_in_guest(str(vm.pk), begun)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return ended


def test_a_machine_of_somebody_else_is_adopted_with_all_that_berth_does_not_know(real, tmp_path):
    caller = api(real)
    ours, theirs = real.disks / "old.qcow2", Path(f"{real.disks}-theirs.raw")
    guest.write_image(ours, image_format="qcow2", period=2)
    guest.write_image(theirs, image_format="raw", period=2)
    outside = libvirt.open(real.world.host.uri)
    domain = outside.defineXML(foreign.definition(ours=ours, theirs=theirs))
    before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    apply(real.world.host, real.line.observe(), full_pass=True)
    machines = f"hosts/{real.world.host.pk}/foreign-machines/"
    seen = [one for one in caller.get(machines).json()["results"] if one["name"] == "oldtimer"]
    vm = fresh(finished(asked(caller.post(f"{machines}{seen[0]['id']}/adopt/"))).subject_id)
    assert domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before
    assert (vm.state, vm.title, vm.memory_mib, vm.graphics) == ("ready", "Somebody's", 64, ["vnc"])
    assert vm.outside == ["disk hda", "card 52:54:00:99:88:77"]
    assert [disk.volume for disk in vm.disks.all()] == ["old.qcow2"]
    asked(caller.patch(f"vms/{vm.pk}/", {"memory_mib": 96, "title": "Ours"}), 200)
    finished(asked(caller.post(f"vms/{vm.pk}/start/")))
    after = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert foreign.lost(after) == []
    assert "98304" in after and "Ours" in after
    finished(asked(caller.delete(f"vms/{vm.pk}/")))
    assert theirs.exists() and not ours.exists()
    outside.close()


def uploaded(real, content: bytes, *, name: str, kind: str = "disk", sha256: str = "") -> Image:
    image = create_image(
        actor=SYSTEM, name=name, kind=kind, storage=real.storage, size_bytes=len(content), sha256=sha256
    )
    half = len(content) // 2
    for offset, piece in ((0, content[:half]), (half, content[half:])):
        append_image(actor=SYSTEM, image=image, offset=offset, length=len(piece), stream=BytesIO(piece))
    return image


def test_what_is_uploaded_is_looked_at_and_lies_on_the_storage(real, tmp_path):
    guest.write_image(tmp_path / "disk.raw", image_format="raw")
    raw = (tmp_path / "disk.raw").read_bytes()
    wrong = uploaded(real, raw, name="wrong", sha256="0" * 64)
    job = finish(finish_image(actor=SYSTEM, image=wrong))
    assert job.state == "failed" and not Image.objects.exists() and not list(uploads.folder().iterdir())
    for kind in ("raw", "vmdk"):
        source = tmp_path / f"disk.{kind}"
        if kind != "raw":
            subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, tmp_path / "disk.raw", source], check=True)
        content = source.read_bytes()
        image = uploaded(real, content, name=kind, sha256=hashlib.sha256(content).hexdigest())
        done(finish_image(actor=SYSTEM, image=image))
        image.refresh_from_db()
        assert (image.state, image.format, image.capacity_bytes) == ("ready", kind, len(raw))
        stored = Path(real.disks / image.volume)
        subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", tmp_path / "disk.raw", stored], check=True)
    _an_appliance_with_two_disks(real, tmp_path)
    backing = tmp_path / "backing.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", backing], check=True)
    image = uploaded(real, backing.read_bytes(), name="thief")
    assert finish(finish_image(actor=SYSTEM, image=image)).state == "failed"
    for image in Image.objects.all():
        done(delete_image(actor=SYSTEM, image=image))
    assert real.files() - {path.name for path in real.disks.glob("berth-notes*")} == set()
    assert not list(uploads.folder().iterdir())


def _an_appliance_with_two_disks(real, folder: Path) -> None:
    """The first one is the image; the other one is a disk that waits for the machine made from it."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", folder / "two.raw", "3M"], check=True)
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -q -P 7 1M 64k", folder / "two.raw"], check=True)
    words = PLAIN | {
        "href": "one.vmdk", "disks": '<Disk ovf:diskId="d2" ovf:fileRef="f2"/>',
        "file": '/><File ovf:id="f2" ovf:href="two.vmdk"',
    }  # fmt: skip
    (folder / "old.ovf").write_text(OVF.format(**words))
    for name, source in (("one", "disk"), ("two", "two")):
        asked = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
        subprocess.run([*asked, folder / f"{source}.raw", folder / f"{name}.vmdk"], check=True)
    with tarfile.open(folder / "both.ova", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("old.ovf", "one.vmdk", "two.vmdk"):
            tar.add(folder / name, name)
    _undone_between_its_disks(real, (folder / "both.ova").read_bytes())
    image = uploaded(real, (folder / "both.ova").read_bytes(), name="both")
    done(finish_image(actor=SYSTEM, image=image))
    image.refresh_from_db()
    assert (image.format, image.proposal["disks"]) == ("ova", 2)
    other = FloatingDisk.objects.get()
    assert (other.name, other.size_bytes) == ("both disk 2", 3 << 20)
    for source, volume in (("disk", image.volume), ("two", other.volume)):
        pair = [folder / f"{source}.raw", real.disks / volume]
        subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", *pair], check=True)
    done(delete_floating_disk(actor=SYSTEM, disk=other))


def _undone_between_its_disks(real, content: bytes) -> None:
    """Refused or cancelled when both disks lie on the storage and one has no row yet: nothing is left of either."""
    before = real.files()
    for ends, tell in (("failed", _over_quota), ("cancelled", cancel_job)):
        image = uploaded(real, content, name=ends)
        job = finish_image(actor=SYSTEM, image=image)
        seen = []

        def claimed(*given, job=job, tell=tell, seen=seen, **rest):
            seen.append(real.files() - before)
            tell(actor=SYSTEM, job=job)

        with patch("broker.virt.quotas.claim_disk_of", claimed):
            assert finish(job).state == ends
        assert len(seen[0]) == 2
        assert real.files() == before and not list(uploads.folder().iterdir())
        assert not Image.objects.filter(pk=image.pk).exists() and not FloatingDisk.objects.exists()


def _over_quota(**rest) -> None:
    raise Conflict("no", fix="-")
