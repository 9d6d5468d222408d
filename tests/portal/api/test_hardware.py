"""The hardware of a machine by the API."""

import struct

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


def test_a_version_tells_what_machines_made_from_it_get(world, caller, tmp_path, settings):
    settings.DATA_DIR = tmp_path
    (tmp_path / "import").mkdir()
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 1 << 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 104)
    (tmp_path / "import" / "uefi.qcow2").write_bytes(head + bytes(8))
    root, address = caller("root"), f"templates/{world.template.pk}/import-version/"
    wish = {"storage": str(world.storage.pk), "source": "uefi.qcow2", "options": {"firmware": "uefi", "tpm": True}}
    assert root.post(address, wish | {"options": {"cores": 3}}).status_code == 400
    made = root.post(address, wish)
    assert made.status_code == 202, made.content
    version = root.get(f"template-versions/{made.json()['subject']['id']}/").json()
    assert version["options"] == {"firmware": "uefi", "tpm": True}
