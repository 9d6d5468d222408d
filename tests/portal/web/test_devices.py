"""A host's page lists its devices; a machine is given one and has it taken away."""

from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.models import DeviceUse, HostDevice

NOW = {"HX-Request": "true"}


def test_devices_are_listed_given_and_taken(site):
    host, server, client = site.world.host, site.server, site.client("root")
    type(server).objects.filter(pk=server.pk).update(power_state="off", host=host)
    Job.objects.filter(subject_id=server.pk).delete()
    card = HostDevice.objects.create(host=host, key="pci-0000:01:00.0", kind="pci", title="Card <b>", group=7)
    HostDevice.objects.create(host=host, key="pci-0000:01:00.1", kind="pci", title="Its sound", group=7)
    HostDevice.objects.create(host=host, key="pci-0000:00:17.0", kind="pci", title="Disks", group=3, unfit="disk")
    page, changes = reverse("portal:host", args=[host.pk]), reverse("portal:vm-changes", args=[server.pk])
    text = client.get(page).content.decode()
    assert "Card &lt;b&gt;" in text and "7: with pci-0000:01:00.1" in text and "the host has its disks on it" in text
    there = reverse("portal:device-new", args=[server.pk])
    assert there in client.get(changes).content.decode()
    assert site.client("charlie").get(there).status_code == 404
    form = client.get(there).content.decode()
    assert "Card &lt;b&gt;" in form and "pci-0000:00:17.0" not in form
    assert client.post(there, {"device": ""}).status_code == 400
    assert client.post(there, {"device": card.pk}).status_code == 302
    given = DeviceUse.objects.get(vm=server, device=card)
    assert "Devices of its host" in client.get(changes).content.decode()
    assert server.name in client.get(page).content.decode()
    gone = reverse("portal:device-delete", args=[server.pk, given.pk])
    assert site.client("charlie").post(gone, headers=NOW).status_code == 404
    assert client.post(gone, headers=NOW).status_code == 204
    assert not DeviceUse.objects.exists()
    assert client.post(gone, headers=NOW).status_code == 404
