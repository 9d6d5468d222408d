"""The page of a machine's disks and snapshots, and what its buttons and forms do."""

import pytest
from django.urls import reverse

from broker.core import clock
from broker.jobs.models import Job
from broker.virt import exports
from broker.virt.models import Disk, DiskExport, FloatingDisk, Preview, Snapshot, SnapshotDisk


@pytest.fixture
def parts(site):
    """Two disks and two snapshots of the server, which is off and at rest, one on top of the other."""
    type(site.server).objects.filter(pk=site.server.pk).update(power_state="off", host=site.world.host)
    Job.objects.filter(subject_id=site.server.pk).delete()
    vm, storage = site.server, site.world.storage
    vm.disks.all().delete()
    disk = Disk.objects.create(vm=vm, storage=storage, volume="now.qcow2", below="b.qcow2", size_bytes=1 << 30)
    extra = Disk.objects.create(vm=vm, storage=storage, volume="x.qcow2", target="vdb", order=1, size_bytes=1 << 30)
    before = Snapshot.objects.create(vm=vm, name="before <b>", memory="m", memory_storage=storage)
    after = Snapshot.objects.create(vm=vm, name="after", parent=before, current=True)
    for snapshot, volume in ((before, "a.qcow2"), (after, "b.qcow2")):
        SnapshotDisk.objects.create(snapshot=snapshot, disk=disk, storage=storage, volume=volume)
    return disk, extra, before, after


def address(site, name, *more):
    return reverse(f"portal:{name}", args=[site.server.pk, *(one.pk for one in more)])


def plan(site):
    return Job.objects.filter(subject_id=site.server.pk).values_list("plan", flat=True).first()


def test_the_page_shows_the_tree_in_words(site, parts):
    text = site.client("root").get(address(site, "vm-disks")).content.decode()
    assert "before &lt;b&gt;" in text and "\N{BOX DRAWINGS LIGHT UP AND RIGHT} after" in text
    assert "Current" in text and "1 disk, memory" in text
    assert text.index("before &lt;b&gt;") < text.index("\N{BOX DRAWINGS LIGHT UP AND RIGHT} after")
    assert address(site, "snapshot-revert", parts[2]) in text
    assert address(site, "disk-delete", parts[1]) in text
    assert address(site, "disk-delete", parts[0]) not in text


@pytest.mark.parametrize(
    ("name", "which", "job"),
    [
        ("disk-delete", 1, "vm.delete-disk"),
        ("disk-detach", 1, "vm.delete-disk"),
        ("snapshot-revert", 2, "vm.revert"),
        ("snapshot-delete", 3, "vm.delete-snapshot"),
    ],
)
def test_each_button_goes_through_its_action(site, parts, name, which, job):
    there = address(site, name, parts[which])
    assert site.client("charlie").post(there).status_code == 404
    response = site.client("root").post(there, headers={"HX-Request": "true"})
    assert response.status_code == 204, response.content
    assert plan(site) == job


@pytest.mark.parametrize(
    ("name", "which", "values", "job"),
    [
        ("disk-new", None, {"size_gib": 2}, "vm.create-disk"),
        ("disk-grow", 1, {"size_gib": 2}, "vm.grow-disk"),
        ("disk-limits", 0, {"total_bytes": 5, "read_iops": 7}, "vm.limit-disk"),
        ("snapshot-new", None, {"name": "one"}, "vm.take-snapshot"),
    ],
)
def test_each_form_goes_through_its_action(site, parts, name, which, values, job):
    there = address(site, name, *([] if which is None else [parts[which]]))
    client = site.client("root")
    assert client.get(there).status_code == 200
    assert client.post(there, {"total_bytes": -1}).status_code == 400
    response = client.post(there, values)
    assert response.status_code == 302, response.content
    assert plan(site) == job


def test_a_machine_and_a_version_are_made_of_a_snapshot(site, parts):
    client, template = site.client("root"), site.world.template
    for name, values, made in (
        ("snapshot-clone", {"name": "copy"}, "vm.create"),
        ("snapshot-version", {"template": template.pk}, "template.make"),
    ):
        there = address(site, name, parts[3])
        assert site.client("charlie").get(there).status_code in (403, 404)
        assert "after" in client.get(there).content.decode()
        response = client.post(there, values)
        assert response.status_code == 302, response.content
        assert Job.objects.get(plan=made).args["snapshot"] == str(parts[3].pk)


def test_a_look_at_a_snapshot_and_both_ways_out(site, parts):
    client, there = site.client("root"), address(site, "snapshot-preview", parts[2])
    assert there in client.get(address(site, "vm-disks")).content.decode()
    assert client.post(there, {"memory": "on"}).status_code == 302
    assert Job.objects.get(subject_id=site.server.pk).args["wake"] is True
    Job.objects.all().delete()
    assert client.post(address(site, "preview-undo"), headers={"HX-Request": "true"}).status_code == 409
    Preview.objects.create(vm=site.server, snapshot=parts[2])
    text = client.get(address(site, "vm-disks")).content.decode()
    assert "It looks at the snapshot before &lt;b&gt;." in text
    assert there not in text and address(site, "disk-new") not in text
    for name in ("preview-undo", "preview-commit"):
        assert site.client("charlie").post(address(site, name)).status_code == 404
        assert client.post(address(site, name), headers={"HX-Request": "true"}).status_code == 204
        assert Job.objects.get(subject_id=site.server.pk).args["commit"] is (name == "preview-commit")
        Job.objects.all().delete()


def test_disks_of_no_machine_are_listed_attached_and_deleted(site, parts):
    storage, client = site.world.storage, site.client("root")
    disk = FloatingDisk.objects.create(name="data <b>", storage=storage, volume="f.qcow2", size_bytes=1 << 30)
    assert "data &lt;b&gt;" in client.get(reverse("portal:floating-disks")).content.decode()
    attach, delete = (reverse(f"portal:floating-{name}", args=[disk.pk]) for name in ("attach", "delete"))
    assert site.client("charlie").get(attach).status_code == 404
    assert client.get(attach).status_code == 200
    assert client.post(delete, headers={"HX-Request": "true"}).status_code == 204
    Job.objects.all().delete()
    assert client.post(attach, {"vm": site.server.pk}).status_code == 302
    assert Job.objects.get(plan="vm.create-disk").args["floating"]["name"] == "data <b>"
    there = reverse("portal:storage-adopt-file", args=[storage.pk])
    assert client.post(there, {"file": "../x"}, headers={"HX-Request": "true"}).status_code == 400
    assert client.post(there, {"file": "x.qcow2"}, headers={"HX-Request": "true"}).status_code == 204


def test_a_disk_is_downloaded_in_pieces_by_those_who_may(site, parts, settings, tmp_path):
    settings.DATA_DIR, client = tmp_path, site.client("root")
    there = address(site, "disk-export")
    assert client.get(there).status_code == 200
    assert client.post(there, {"disk": parts[0].pk, "snapshot": parts[2].pk}).status_code == 302
    job = Job.objects.get(plan="vm.export-disk")
    assert job.args["snapshot"] == str(parts[2].pk)
    export = DiskExport.objects.get()
    data, delete = address(site, "export-data", export), address(site, "export-delete", export)
    assert client.get(data).status_code == 409  # it is being made
    Job.objects.all().delete()
    DiskExport.objects.update(ready_at=clock.now(), sha256="abc", size_bytes=10)
    assert client.get(data).status_code == 503  # on another server
    exports.path_of(export.pk).write_bytes(b"0123456789")
    assert data in client.get(address(site, "vm-disks")).content.decode()
    response = client.get(data, headers={"Range": "bytes=4-"})
    assert (response.status_code, b"".join(response.streaming_content)) == (206, b"456789")
    assert site.client("charlie").get(data).status_code == 404
    api = f"/api/v1/vms/{site.server.pk}/exports/{export.pk}/data/"
    response = client.get(api, headers={"Range": "bytes=-2"})
    assert (response.status_code, b"".join(response.streaming_content)) == (206, b"89")
    assert response["Content-Disposition"] == f'attachment; filename="{export.name}"'
    assert client.post(delete, headers={"HX-Request": "true"}).status_code == 204
    assert client.get(data).status_code == 404


def test_a_machine_is_exported_by_those_who_may(site, parts, settings, tmp_path):
    settings.DATA_DIR, client, there = tmp_path, site.client("root"), address(site, "vm-export")
    assert there in client.get(reverse("portal:vm", args=[site.server.pk])).content.decode()
    assert there in client.get(address(site, "vm-disks")).content.decode()
    assert client.get(there).status_code == 200
    assert site.client("charlie").get(there).status_code == 404
    assert site.client("charlie").post(there).status_code == 404
    type(site.server).objects.filter(pk=site.server.pk).update(power_state="running")
    refused = client.post(there, {"snapshot": ""})
    assert refused.status_code == 400 and "Take a snapshot" in refused.content.decode()
    assert client.post(there, {"snapshot": parts[2].pk}).status_code == 302
    job = Job.objects.get(plan="vm.export")
    assert job.args["snapshot"] == str(parts[2].pk)
    assert DiskExport.objects.get().name.endswith("-before__b_.ova")


def test_another_machines_disk_is_not_found_under_this_one(site, parts):
    there = reverse("portal:disk-grow", args=[site.granted.pk, parts[0].pk])
    assert site.client("root").get(there).status_code == 404
