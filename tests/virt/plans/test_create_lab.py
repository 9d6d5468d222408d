"""Machines made of what people bring along, on a real host: uploaded, looked at, converted, started, read back."""

import hashlib
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from broker.virt import hosts, uploads
from broker.virt.actions.append_image import append_image
from broker.virt.actions.create_image import create_image
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.finish_image import finish_image
from broker.virt.models import Image
from tests.jobs_help import finish
from tests.lab import guest
from tests.virt.actions.stage import SYSTEM, done
from tests.virt.plans.test_lab import Real

pytestmark = pytest.mark.lab


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


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
    backing = tmp_path / "backing.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", backing], check=True)
    image = uploaded(real, backing.read_bytes(), name="thief")
    assert finish(finish_image(actor=SYSTEM, image=image)).state == "failed"
    for image in Image.objects.all():
        done(delete_image(actor=SYSTEM, image=image))
    assert real.files() - {path.name for path in real.disks.glob("berth-notes*")} == set()
    assert not list(uploads.folder().iterdir())
