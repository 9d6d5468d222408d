"""The pages by which disks are shared, given to machines, taken away, and changed in how they are written to."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.models import DiskShare, FloatingDisk
from tests.portal.web.test_disks import address, parts  # noqa: F401 - a fixture

NOW = {"HX-Request": "true"}


def floating(site, name, **more):
    wished = {"storage": site.world.storage, "volume": f"{name}.raw", "size_bytes": 1 << 30, **more}
    return FloatingDisk.objects.create(name=name, **wished)


def test_a_disk_is_shared_given_and_taken_away(site, parts):  # noqa: F811
    client, disk = site.client("root"), floating(site, "all <b>")
    page = reverse("portal:floating-disks")
    share = reverse("portal:floating-share", args=[disk.pk])
    assert share in client.get(page).content.decode()
    assert site.client("charlie").post(share, headers=NOW).status_code == 404
    assert client.post(share, headers=NOW).status_code == 204
    assert Job.objects.get(plan="disk.share").args["shared"] is True
    Job.objects.all().delete()
    FloatingDisk.objects.update(shared=True)
    there = address(site, "shared-disk-new")
    assert site.client("charlie").get(there).status_code == 404
    assert "all &lt;b&gt;" in client.get(there).content.decode()
    assert client.post(there, {"disk": ""}).status_code == 400
    assert client.post(there, {"disk": disk.pk, "read_only": "on"}).status_code == 302
    given = DiskShare.objects.get()
    assert (given.vm, given.disk, given.read_only, given.target) == (site.server, disk, True, "vdc")
    text = client.get(address(site, "vm-disks")).content.decode()
    assert "Shared disks" in text and "read-only" in text
    assert site.server.name in client.get(page).content.decode()
    assert client.post(reverse("portal:floating-delete", args=[disk.pk]), headers=NOW).status_code == 409
    gone = address(site, "shared-disk-delete", given)
    assert site.client("charlie").post(gone, headers=NOW).status_code == 404
    assert client.post(gone, headers=NOW).status_code == 204
    assert not DiskShare.objects.exists() and FloatingDisk.objects.exists()
    assert client.post(gone, headers=NOW).status_code == 404


def test_the_list_names_only_machines_that_its_reader_sees_and_costs_the_same_for_many(site, parts):  # noqa: F811
    world = site.world
    first = floating(site, "first", shared=True, owner=world.alice)
    DiskShare.objects.create(vm=site.server, disk=first, target="vdx")
    page, alice = reverse("portal:floating-disks"), site.client("alice")

    def cost():
        with CaptureQueriesContext(connection) as queries:
            text = alice.get(page).content.decode()
        return len(queries), text

    cost()
    few, text = cost()
    assert "1 machine" in text and site.server.name not in text
    for number in range(4):
        DiskShare.objects.create(
            vm=site.server, disk=floating(site, f"d{number}", shared=True, owner=world.alice), target=f"vd{number}"
        )
    assert cost()[0] == few


def test_how_a_disk_is_written_to_is_said_by_a_form(site, parts):  # noqa: F811
    client, disk = site.client("root"), parts[1]
    there = address(site, "disk-edit", disk)
    assert site.client("charlie").get(there).status_code == 404
    assert "Read-only" in client.get(there).content.decode()
    assert client.post(there, {"discard": "never"}).status_code == 400
    assert client.post(there, {"discard": "ignore", "detect_zeroes": "on"}).status_code == 302
    disk.refresh_from_db()
    assert (disk.read_only, disk.discard, disk.detect_zeroes) == (False, "ignore", "on")
    assert "discard is ignored, zeroes are looked for" in client.get(address(site, "vm-disks")).content.decode()
    assert client.post(there, {"wipe_after_delete": "on"}).status_code == 302
    assert "wiped when deleted" in client.get(address(site, "vm-disks")).content.decode()
    type(site.server).objects.filter(pk=site.server.pk).update(power_state="running")
    assert client.post(there, {"detect_zeroes": "off"}).status_code == 302
    text = client.get(address(site, "vm-changes")).content.decode()
    assert "Disk vdb: blocks of zeroes: noted, not written → blocks of zeroes: written as they are" in text
