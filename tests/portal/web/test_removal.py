"""A machine is deleted and its disks kept: by its page."""

import pytest
from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.models import Disk, VirtualMachine


@pytest.fixture
def server(site):
    """Off, on no template, with two disks."""
    VirtualMachine.objects.filter(pk=site.server.pk).update(
        power_state="off", linked=False, template_version=None, host=site.world.host
    )
    Job.objects.filter(subject_id=site.server.pk).delete()
    site.server.disks.all().delete()
    for number, target in enumerate(("vda", "vdb")):
        Disk.objects.create(
            vm=site.server, storage=site.world.storage, volume=f"{target}.qcow2", target=target, order=number,
            size_bytes=1 << 30,
        )  # fmt: skip
    return VirtualMachine.objects.get(pk=site.server.pk)


def test_the_page_names_the_disks_and_wants_the_box_ticked(site, server):
    client, there = site.client("root"), reverse("portal:vm-delete-keeping", args=[server.pk])
    assert there in client.get(reverse("portal:vm", args=[server.pk])).content.decode()
    text = client.get(there).content.decode()
    assert "vda (1" in text and "vdb (1" in text and "count against your quota" in text
    assert site.client("charlie").get(there).status_code == 404
    assert client.post(there, {}).status_code == 400 and not Job.objects.filter(plan="vm.delete").exists()
    gone = client.post(there, {"sure": "on"})
    assert gone.url == reverse("portal:floating-disks")
    assert Job.objects.get(plan="vm.delete").args["keep"] == {"owner": str(site.world.root.pk)}


def test_a_refusal_says_what_to_do_first(site, server):
    VirtualMachine.objects.filter(pk=server.pk).update(linked=True)
    refused = site.client("root").post(reverse("portal:vm-delete-keeping", args=[server.pk]), {"sure": "on"})
    assert refused.status_code == 400 and "Move the disk to another storage" in refused.content.decode()
