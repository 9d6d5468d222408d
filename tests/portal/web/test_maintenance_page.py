"""The page of maintenance: what becomes of each machine, said first; then the job, or the host at once."""

from django.urls import reverse

from broker.core import clock
from broker.jobs.models import Job
from broker.virt.models import Host, StorageDomain, VirtualMachine

from .test_pages import assert_strict


def test_machines_are_named_with_where_they_go_or_why_not(site):
    host, client = site.world.host, site.client("root")
    page = reverse("portal:host-maintenance", args=[host.pk])
    VirtualMachine.objects.filter(host=host).update(power_state="off")
    text = client.get(page).content.decode()
    assert_strict(text)
    assert "No machine runs on it." in text
    vm = VirtualMachine.objects.filter(host=host).first()
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running")
    text = client.get(page).content.decode()
    assert_strict(text)
    assert vm.name in text and "stays" in text and "it runs there now" in text
    room = {"memory_bytes": 64 << 30, "memory_free_bytes": 64 << 30, "observed_at": clock.now(), "cpus": 8}
    Host.objects.create(
        cluster=host.cluster, name="other", driver="simulated", uri="sim://other", graphics=["vnc", "spice"], **room
    )
    text = client.get(page).content.decode()
    assert "other" in text and "stays" not in text
    assert site.client("charlie").get(page).status_code == 404


def test_it_is_emptied_by_a_job_or_left_as_it_is(site):
    host, client = site.world.host, site.client("root")
    page = reverse("portal:host-maintenance", args=[host.pk])
    told = client.post(page, {"machines": "move"})
    job = Job.objects.get(plan="host.evacuate")
    assert told.url == reverse("portal:job", args=[job.pk])
    one = client.get(reverse("portal:host", args=[host.pk])).content.decode()
    assert_strict(one)
    assert "Preparing for maintenance" in one
    assert client.post(page, {"machines": "move"}).status_code == 400  # it is under way
    assert Job.objects.filter(plan="host.evacuate").count() == 1
    Job.objects.all().delete()
    Host.objects.filter(pk=host.pk).update(state="active")
    assert client.post(page, {"machines": "leave"}).url == reverse("portal:host", args=[host.pk])
    assert Host.objects.get(pk=host.pk).state == "maintenance"


def test_a_storage_is_emptied_to_another(site):
    storage, client = site.world.storage, site.client("root")
    page = reverse("portal:storage-evacuate", args=[storage.pk])
    other = StorageDomain.objects.create(cluster=storage.cluster, name="other", path="/srv/other")
    assert page in client.get(reverse("portal:storage-one", args=[storage.pk])).content.decode()
    assert_strict(client.get(page).content.decode())
    assert client.post(page, {"target": str(storage.pk)}).status_code == 400
    told = client.post(page, {"target": str(other.pk)})
    assert told.url == reverse("portal:job", args=[Job.objects.get(plan="storage.evacuate").pk])
    assert site.client("charlie").get(page).status_code == 404
