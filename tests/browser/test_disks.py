"""The pages of disks in Chromium: they are accessible, and a disk is downloaded through the real server."""

import hashlib
from pathlib import Path

import pytest
from django.urls import reverse

from broker.core import clock
from broker.jobs.models import Job
from broker.virt import exports
from broker.virt.models import Disk, DiskExport, FloatingDisk, Snapshot, SnapshotDisk

from .test_pages import violations
from .test_versions import shoot

pytestmark = pytest.mark.browser
BYTES = bytes(range(256)) * 12000  # three pieces


@pytest.fixture
def machine(site, settings, tmp_path):
    """Off, with a snapshot, a second disk that has limits, and a file to be downloaded."""
    settings.DATA_DIR = tmp_path
    vm, storage = site.server, site.world.storage
    type(vm).objects.filter(pk=vm.pk).update(power_state="off", host=site.world.host)
    Job.objects.filter(subject_id=vm.pk).delete()
    vm.disks.all().delete()
    disk = Disk.objects.create(vm=vm, storage=storage, volume="now.qcow2", below="b.qcow2", size_bytes=1 << 30)
    limits = {"total_bytes": 50 << 20, "read_iops": 300}
    Disk.objects.create(
        vm=vm, storage=storage, volume="x.qcow2", target="vdb", order=1, size_bytes=1 << 30, limits=limits
    )
    one = Snapshot.objects.create(vm=vm, name="before the update", current=True)
    SnapshotDisk.objects.create(snapshot=one, disk=disk, storage=storage, volume="b.qcow2")
    FloatingDisk.objects.create(name="old data", storage=storage, volume="f.qcow2", size_bytes=1 << 30)
    export = DiskExport.objects.create(
        vm=vm, name="server-vda.qcow2", size_bytes=len(BYTES), sha256=hashlib.sha256(BYTES).hexdigest(),
        ready_at=clock.now(),
    )  # fmt: skip
    exports.path_of(export.pk).write_bytes(BYTES)
    return vm


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_pages_are_accessible_and_a_disk_is_downloaded(machine, visit, theme, phone):
    vm, one = machine, machine.snapshots.get()
    page = visit("root", "/", theme=theme, phone=phone)
    for name, address in (
        ("floating", reverse("portal:floating-disks")),
        ("limits", reverse("portal:disk-limits", args=[vm.pk, vm.disks.get(target="vdb").pk])),
        ("preview", reverse("portal:snapshot-preview", args=[vm.pk, one.pk])),
        ("export", reverse("portal:disk-export", args=[vm.pk])),
        ("ova", reverse("portal:vm-export", args=[vm.pk])),
        ("machine", reverse("portal:vm", args=[vm.pk])),
        ("disks", reverse("portal:vm-disks", args=[vm.pk])),
    ):
        page.goto(address)
        shoot(page, f"{name}-{theme}")
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    with page.expect_download() as told:
        page.locator(f'a[href$="/{vm.exports.get().pk}/data"]').click()
    assert told.value.suggested_filename == "server-vda.qcow2"
    assert Path(told.value.path()).read_bytes() == BYTES
