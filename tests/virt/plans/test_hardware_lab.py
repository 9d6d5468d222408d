"""The hardware somebody chose, on a real libvirt host: libvirt takes it, keeps it, and runs a machine with it."""

import pytest
from lxml import etree

from broker.core.errors import Conflict
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from tests.virt.actions.stage import SYSTEM, done, fresh

from .test_lab import boots, lab_up, shut_down
from .test_lab import real as real

pytestmark = pytest.mark.lab


def definition(real, vm):
    return etree.fromstring(real.line.definition(str(vm.pk)))


def test_all_that_can_be_chosen_is_there_and_taken_back(real):
    options = {
        "firmware": "uefi", "tpm": True, "cpu": "maximum", "sockets": 1, "cores": 2, "threads": 1, "balloon_mib": 48,
        "video": "vga", "sound": True, "watchdog": "reset", "boot": "network-disk",
    }  # fmt: skip
    vm = real.make("chosen", vcpus=2, memory_mib=64, options=options)
    for _ in range(2):  # the second definition starts from what libvirt made of the first
        root = definition(real, vm)
        assert root.find("os").get("firmware") == "efi"
        assert root.find("cpu").get("mode") == "maximum"
        assert root.find("cpu/topology").get("cores") == "2"
        assert root.findtext("currentMemory") == str(48 * 1024)
        assert root.find("devices/tpm/backend").get("type") == "emulator"
        assert root.find("devices/sound").get("model") == "ich9"
        assert root.find("devices/watchdog").get("action") == "reset"
        assert root.find("devices/video/model").get("type") == "vga"
        assert root.find("devices/interface/boot").get("order") == "1"
        assert root.find("devices/disk/boot").get("order") == "2"
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert fresh(vm).power_state == "running"
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"firmware": "secure", "watchdog": "none"})
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    root = definition(real, vm)
    assert {one.get("name"): one.get("enabled") for one in root.findall("os/firmware/feature")}["secure-boot"] == "yes"
    assert root.find("features/smm").get("state") == "on"
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(
        actor=SYSTEM, vm=fresh(vm),
        options={"firmware": "bios", "tpm": False, "sound": False, "boot": "disk", "balloon_mib": 0},
        graphics=["vnc", "spice"],
    )  # fmt: skip
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    root = definition(real, vm)
    assert root.find("os").get("firmware") is None and root.find("os/loader") is None
    for device in ("tpm", "sound", "interface/boot"):
        assert root.find(f"devices/{device}") is None
    assert root.findtext("currentMemory") == str(64 * 1024)
    assert {one.get("type") for one in root.findall("devices/graphics")} == {"vnc", "spice"}
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def test_disks_on_other_buses(real):
    """The guest starts from SATA and from SCSI, and writes there; one of them takes more disks while it runs."""
    vm = real.make(
        "buses", memory_mib=32, card="e1000e", start=True, options={"disk_bus": "sata", "system": "windows"}
    )  # fmt: skip
    lab_up(real, vm)
    root = definition(real, vm)
    assert root.find("devices/disk/target").get("bus") == "sata" and root.find("clock").get("offset") == "localtime"
    assert root.find("devices/interface/model").get("type") == "e1000e"
    with pytest.raises(Conflict) as refusal:
        create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20)
    assert refusal.value.rule == "disk.bus"
    shut_down(vm)  # not cut off: QEMU then may keep what the guest wrote to itself
    assert boots(fresh(vm)).boots == 1
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"disk_bus": "scsi", "system": "other"})
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)
    done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20))
    assert [one.get("bus") for one in definition(real, vm).findall("devices/disk/target")] == ["scsi", "scsi"]
    done(delete_disk(actor=SYSTEM, disk=fresh(vm).disks.get(target="vdb")))
    shut_down(vm)
    assert boots(fresh(vm)).boots == 2
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"disk_bus": "virtio"})
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)
    shut_down(vm)
    assert boots(fresh(vm)).boots == 3
