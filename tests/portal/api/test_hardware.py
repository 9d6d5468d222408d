"""The hardware of a machine by the API."""

from broker.virt.models import VirtualMachine


def test_a_machine_is_made_with_chosen_hardware_and_changed(world, caller):
    root = caller("root")
    wish = {"name": "uefi", "version": str(world.version.pk), "vcpus": 2, "options": {"firmware": "uefi", "cores": 2}}
    made = root.post("vms/", wish)
    assert made.status_code == 202
    vm = VirtualMachine.objects.get(name="uefi")
    assert root.get(f"vms/{vm.pk}/").json()["options"] == {"firmware": "uefi", "cores": 2}


def test_hardware_that_cannot_be_is_refused(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    for options in ({"firmware": "x"}, {"tpm": "yes"}, {"cpu": "<x/>"}, {"qemu": "-S"}, {"cores": 3}, [], "x", 7):
        assert root.patch(f"vms/{vm.pk}/", {"options": options}).status_code == 400
    assert root.patch(f"vms/{vm.pk}/", {"options": {"tpm": True}}).json()["options"] == {"tpm": True}
