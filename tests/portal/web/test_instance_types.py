"""The pages and the back office of instance types."""

import json

from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.models import InstanceType, VirtualMachine

NEW = {"name": "wide", "vcpus": 4, "memory_mib": 4096, "sockets": 1, "cores": 4, "threads": 1, "max_memory_mib": 8192}


def test_one_is_made_chosen_changed_and_removed(site):
    client, listing = site.client("root"), reverse("portal:instance-types")
    assert client.post(reverse("portal:instance-type-new"), NEW).status_code == 302
    wide = InstanceType.objects.get(name="wide")
    assert wide.options == {"sockets": 1, "cores": 4, "threads": 1, "max_memory_mib": 8192}
    text = client.get(listing).content.decode()
    assert reverse("portal:instance-type-edit", args=[wide.pk]) in text
    assert "1 × 4 × 1" in text and "8 GiB" in text
    assert client.post(reverse("portal:instance-type-new"), NEW | {"cores": 3, "name": "odd"}).status_code == 400

    vm = site.server
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", options={})
    Job.objects.filter(subject_id=vm.pk).delete()
    resize = reverse("portal:vm-resize", args=[vm.pk])
    assert "wide" in client.get(resize).content.decode()
    assert client.post(resize, {"instance_type": str(wide.pk)}).status_code == 302
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib, vm.instance_type) == (4, 4096, wide)
    page = reverse("portal:vm", args=[vm.pk])
    assert "its own size differs" not in client.get(page).content.decode()

    edit = reverse("portal:instance-type-edit", args=[wide.pk])
    assert 'value="4096"' in client.get(edit).content.decode()
    assert client.post(edit, NEW | {"memory_mib": 2048, "max_memory_mib": ""}).status_code == 302
    wide.refresh_from_db()
    assert wide.memory_mib == 2048 and "max_memory_mib" not in wide.options
    assert "wide; its own size differs" in client.get(page).content.decode()
    client.post(reverse("portal:instance-type-delete", args=[wide.pk]))
    assert not InstanceType.objects.filter(name="wide").exists()
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib) == (4, 4096)


def test_a_new_machine_takes_its_size_from_one(site):
    small = InstanceType.objects.create(name="little", vcpus=1, memory_mib=128, options={"sound": True})
    wish = {"name": "web", "version": str(site.world.version.pk), "instance_type": str(small.pk)}
    assert site.client("root").post(reverse("portal:vm-new"), wish).status_code == 302
    vm = VirtualMachine.objects.get(name="web")
    assert (vm.memory_mib, vm.options, vm.instance_type) == (128, {"sound": True}, small)


def test_who_does_not_run_the_system_changes_none(site):
    kind = InstanceType.objects.create(name="little", vcpus=1, memory_mib=128)
    site.world.grant(site.world.bob, "operator")
    bob = site.client("bob")
    assert "little" in bob.get(reverse("portal:instance-types")).content.decode()
    for name, more in (("new", []), ("edit", [kind.pk]), ("delete", [kind.pk])):
        assert bob.post(reverse(f"portal:instance-type-{name}", args=more), NEW).status_code == 403, name
    assert InstanceType.objects.filter(name="little", vcpus=1).exists()


def test_the_back_office_calls_the_same_actions(site):
    root = site.client("root")
    values = {"name": "wide", "vcpus": 2, "memory_mib": 512, "options": json.dumps({"rng": False})}
    assert root.post(reverse("admin:virt_instancetype_add"), values).status_code == 302
    kind = InstanceType.objects.get(name="wide")
    assert kind.options == {"rng": False}
    assert "wide" in root.get(reverse("admin:virt_instancetype_changelist")).content.decode()
    address = reverse("admin:virt_instancetype_change", args=[kind.pk])
    root.post(address, values | {"options": json.dumps({"qemu": "-x"})})
    kind.refresh_from_db()
    assert kind.options == {"rng": False}, "what the action refuses is not written"
    root.post(reverse("admin:virt_instancetype_delete", args=[kind.pk]), {"post": "yes"})
    assert not InstanceType.objects.filter(name="wide").exists()
