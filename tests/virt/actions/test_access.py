"""Every action of this app against every kind of person: a stranger finds nothing, a reader is denied.

An action without a case here fails the suite.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest

from broker.access.models import Role
from broker.core import clock
from broker.core.errors import Denied, Missing
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import actions
from broker.virt.driver import DiskLimits
from broker.virt.models import (
    AffinityGroup,
    Cluster,
    DeviceUse,
    Disk,
    DiskExport,
    DiskShare,
    FenceDevice,
    FloatingDisk,
    ForeignMachine,
    HostDevice,
    Image,
    ImageSource,
    InstanceType,
    Nic,
    PendingChange,
    PhysicalMachine,
    SavedSearch,
    Snapshot,
    VirtualMachine,
)

ACTIONS = {
    module.name: getattr(importlib.import_module(f"{actions.__name__}.{module.name}"), module.name)
    for module in pkgutil.iter_modules(actions.__path__)
}


@dataclass
class Case:
    """`on`: the object whose rights decide; `wish`: the action's arguments, given the stage and its machine."""

    on: str
    verb: str
    wish: Any


POWER_ACTIONS = ("start", "shutdown", "power_off", "reboot", "reset", "suspend", "pause", "resume")


def vm_case(verb: str) -> Case:
    return Case("vm", verb, lambda stage, vm: {"vm": vm})


def group_of(stage) -> AffinityGroup:
    return AffinityGroup.objects.get_or_create(cluster=stage.world.cluster, name="keep-apart")[0]


def source_of(stage) -> ImageSource:
    return ImageSource.objects.get_or_create(host="theirs.example")[0]


def type_of(stage) -> InstanceType:
    return InstanceType.objects.get_or_create(name="theirs", vcpus=1, memory_mib=64)[0]


def device_of(stage) -> FenceDevice:
    return FenceDevice.objects.get_or_create(host=stage.world.host, agent="fence_ipmilan", address="192.0.2.7")[0]


def foreign_on(stage) -> ForeignMachine:
    seen = {"name": "foreign", "power_state": "off", "observed_at": clock.now()}
    return ForeignMachine.objects.get_or_create(host=stage.world.host, uuid=uuid4(), defaults=seen)[0]


def image_of(stage) -> Image:
    wished = {"kind": "iso", "storage": stage.world.storage, "size_bytes": 1 << 20, "volume": "theirs.iso"}
    return Image.objects.get_or_create(name="theirs", defaults=wished)[0]


def search_of(stage) -> SavedSearch:
    return SavedSearch.objects.get_or_create(owner=stage.world.root, name="theirs", shared=True)[0]


def disk_of(stage, vm) -> Disk:
    return Disk.objects.get_or_create(vm=vm, storage=stage.world.storage, volume="theirs.qcow2", size_bytes=1 << 20)[0]


def export_of(vm) -> DiskExport:
    return DiskExport.objects.get_or_create(vm=vm, name="theirs.qcow2", ready_at=clock.now())[0]


def floating_of(stage) -> FloatingDisk:
    wished = {"storage": stage.world.storage, "volume": "floating.qcow2", "size_bytes": 1 << 20}
    return FloatingDisk.objects.get_or_create(name="theirs", defaults=wished)[0]


def shared_of(stage) -> FloatingDisk:
    """Everybody's here, so that the machine decides."""
    wished = {"storage": stage.world.storage, "volume": "shared.raw", "size_bytes": 1 << 20, "shared": True}
    return FloatingDisk.objects.get_or_create(name="shared", defaults=wished)[0]


def share_of(stage, vm) -> DiskShare:
    return DiskShare.objects.get_or_create(vm=vm, disk=shared_of(stage), target="vdc")[0]


def host_device_of(stage) -> HostDevice:
    return HostDevice.objects.get_or_create(host=stage.world.host, key="usb-096e:0858", kind="usb")[0]


def pc_of(vm) -> PhysicalMachine:
    return PhysicalMachine.objects.get_or_create(vm=vm, address="10.0.0.9", vnc_port=5900)[0]


def use_of(stage, vm) -> DeviceUse:
    return DeviceUse.objects.get_or_create(vm=vm, device=host_device_of(stage))[0]


def nic_of(stage, vm) -> Nic:
    return Nic.objects.get_or_create(vm=vm, network=stage.world.network, mac="52:54:00:00:00:99")[0]


def noted(vm) -> VirtualMachine:
    """It runs, and something waits for its next start."""
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running")
    PendingChange.objects.get_or_create(vm=vm, defaults={"values": {"video": "vga"}})
    vm.refresh_from_db()
    return vm


def snapshot_of(vm) -> Snapshot:
    return Snapshot.objects.get_or_create(vm=vm, name="before")[0]


CASES = {
    **{f"{name}_vm": vm_case("vm.power") for name in POWER_ACTIONS},
    "migrate_vm": vm_case("vm.migrate"),
    "apply_changes": Case("vm", "vm.edit", lambda stage, vm: {"vm": noted(vm)}),
    "undo_changes": Case("vm", "vm.edit", lambda stage, vm: {"vm": noted(vm)}),
    "run_once": vm_case("vm.power"),
    "clone_vm": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "name": "x"}),
    "create_nic": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "network": stage.world.network}),
    "edit_nic": Case("vm", "vm.edit", lambda stage, vm: {"nic": nic_of(stage, vm), "connected": False}),
    "delete_nic": Case("vm", "vm.edit", lambda stage, vm: {"nic": nic_of(stage, vm)}),
    "give_vm": Case("vm", "vm.manage", lambda stage, vm: {"vm": vm}),
    "edit_vm": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "title": "x"}),
    "delete_vm": vm_case("vm.delete"),
    "reset_disks": vm_case("vm.edit"),
    "create_disk": Case(
        "vm", "vm.edit", lambda stage, vm: {"vm": vm, "size_bytes": 1 << 20, "storage": stage.world.storage}
    ),
    "grow_disk": Case("vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm), "size_bytes": 1 << 30}),
    "delete_disk": Case("vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm)}),
    "detach_disk": Case("vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm)}),
    "share_disk": Case("storage", "disk.manage", lambda stage, vm: {"disk": floating_of(stage)}),
    "attach_shared_disk": Case("storage", "disk.manage", lambda stage, vm: {"disk": shared_of(stage), "vm": vm}),
    "detach_shared_disk": Case("vm", "vm.edit", lambda stage, vm: {"share": share_of(stage, vm)}),
    "edit_disk": Case("vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm), "discard": "ignore"}),
    "attach_device": Case("host", "device.use", lambda stage, vm: {"device": host_device_of(stage), "vm": vm}),
    "detach_device": Case("vm", "vm.edit", lambda stage, vm: {"use": use_of(stage, vm)}),
    "attach_disk": Case("storage", "disk.manage", lambda stage, vm: {"disk": floating_of(stage), "vm": vm}),
    "delete_floating_disk": Case("storage", "disk.manage", lambda stage, vm: {"disk": floating_of(stage)}),
    "adopt_file": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage, "file": "x"}),
    "convert_disk": Case("vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm), "image_format": "raw"}),
    "limit_disk": Case(
        "vm", "vm.edit", lambda stage, vm: {"disk": disk_of(stage, vm), "limits": DiskLimits(total_iops=100)}
    ),
    "export_disk": Case("vm", "vm.backup", lambda stage, vm: {"disk": disk_of(stage, vm)}),
    "export_vm": Case("vm", "vm.backup", lambda stage, vm: {"vm": vm}),
    "delete_export": Case("vm", "vm.backup", lambda stage, vm: {"export": export_of(vm)}),
    "download_export": Case("vm", "vm.backup", lambda stage, vm: {"export": export_of(vm)}),
    "examine_disks": vm_case("vm.edit"),
    "tidy_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "pace_move": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "paused": True}),
    "move_disks": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "storage": stage.world.storage}),
    "take_snapshot": Case("vm", "vm.edit", lambda stage, vm: {"vm": vm, "name": "x"}),
    "revert_snapshot": Case("vm", "vm.edit", lambda stage, vm: {"snapshot": snapshot_of(vm)}),
    "preview_snapshot": Case("vm", "vm.edit", lambda stage, vm: {"snapshot": snapshot_of(vm)}),
    "commit_preview": vm_case("vm.edit"),
    "undo_preview": vm_case("vm.edit"),
    "delete_snapshot": Case("vm", "vm.edit", lambda stage, vm: {"snapshot": snapshot_of(vm)}),
    "create_vm": Case("cluster", "vm.create", lambda stage, vm: {"name": "x", "version": stage.world.version}),
    "change_cd": vm_case("vm.edit"),
    "adopt_vm": Case("host", "host.manage", lambda stage, vm: {"foreign": foreign_on(stage)}),
    "create_image": Case(
        "storage",
        "image.manage",
        lambda stage, vm: {"name": "x", "kind": "iso", "storage": stage.world.storage, "size_bytes": 1 << 20},
    ),
    "append_image": Case(
        "storage",
        "image.manage",
        lambda stage, vm: {"image": image_of(stage), "offset": 0, "length": 512, "stream": BytesIO(bytes(512))},
    ),
    "finish_image": Case("storage", "image.manage", lambda stage, vm: {"image": image_of(stage)}),
    "delete_image": Case("storage", "image.manage", lambda stage, vm: {"image": image_of(stage)}),
    "create_affinity_group": Case(
        "cluster", "cluster.manage", lambda stage, vm: {"cluster": stage.world.cluster, "name": "x"}
    ),
    "edit_affinity_group": Case(
        "cluster", "cluster.manage", lambda stage, vm: {"group": group_of(stage), "machine_hard": False}
    ),
    "delete_affinity_group": Case("cluster", "cluster.manage", lambda stage, vm: {"group": group_of(stage)}),
    "create_fence_device": Case(
        "host",
        "host.manage",
        lambda stage, vm: {"host": stage.world.host, "agent": "fence_ipmilan", "address": "192.0.2.7"},
    ),
    "delete_fence_device": Case("host", "host.manage", lambda stage, vm: {"device": device_of(stage)}),
    "fence_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "confirm_rebooted": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "act_on_machines": Case("vm", "vm.power", lambda stage, vm: {"verb": "start", "machines": [vm.pk]}),
    "create_saved_search": Case("", "vm.edit", lambda stage, vm: {"name": "x", "shared": True}),
    "edit_saved_search": Case("", "system.manage", lambda stage, vm: {"search": search_of(stage), "name": "y"}),
    "delete_saved_search": Case("", "system.manage", lambda stage, vm: {"search": search_of(stage)}),
    "edit_image": Case("storage", "image.manage", lambda stage, vm: {"image": image_of(stage), "name": "other"}),
    "fetch_image": Case(
        "storage",
        "image.manage",
        lambda stage, vm: {
            "storage": stage.world.storage,
            "name": "x",
            "kind": "disk",
            "url": f"https://{source_of(stage).host}/x",
        },
    ),
    "create_image_source": Case("", "system.manage", lambda stage, vm: {"host": "other.example"}),
    "edit_image_source": Case("", "system.manage", lambda stage, vm: {"source": source_of(stage), "private": True}),
    "delete_image_source": Case("", "system.manage", lambda stage, vm: {"source": source_of(stage)}),
    "create_instance_type": Case("", "system.manage", lambda stage, vm: {"name": "x", "vcpus": 1, "memory_mib": 64}),
    "edit_instance_type": Case("", "system.manage", lambda stage, vm: {"kind": type_of(stage), "vcpus": 2}),
    "delete_instance_type": Case("", "system.manage", lambda stage, vm: {"kind": type_of(stage)}),
    "create_physical_machine": Case(
        "cluster",
        "host.manage",
        lambda stage, vm: {"cluster": stage.world.cluster, "name": "x", "address": "10.0.0.8", "vnc_port": 5900},
    ),
    "edit_physical_machine": Case("cluster", "host.manage", lambda stage, vm: {"pc": pc_of(vm), "title": "x"}),
    "delete_physical_machine": Case("cluster", "host.manage", lambda stage, vm: {"pc": pc_of(vm)}),
    "create_cluster": Case("", "cluster.manage", lambda stage, vm: {"name": "x"}),
    "delete_cluster": Case("cluster", "cluster.manage", lambda stage, vm: {"cluster": stage.world.cluster}),
    "edit_cluster": Case("cluster", "cluster.manage", lambda stage, vm: {"cluster": stage.world.cluster, "name": "x"}),
    "edit_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host, "name": "x"}),
    "edit_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage, "name": "x"}),
    "create_host": Case(
        "cluster",
        "host.manage",
        lambda stage, vm: {"cluster": stage.world.cluster, "name": "x", "driver": "simulated", "uri": "sim://x"},
    ),
    "maintain_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "activate_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "detach_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "take_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "import_found": Case(
        "storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage, "found": uuid4()}
    ),
    "maintain_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "invite_host": Case(
        "cluster",
        "host.manage",
        lambda stage, vm: {"cluster": stage.world.cluster, "name": "x", "address": "x.example.org"},
    ),
    "evacuate_storage": Case(
        "storage",
        "storage.manage",
        lambda stage, vm: {"storage": stage.world.storage, "target": stage.world.storage},
    ),
    "evacuate_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "wake_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "activate_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "delete_host": Case("host", "host.manage", lambda stage, vm: {"host": stage.world.host}),
    "create_storage": Case(
        "cluster", "storage.manage", lambda stage, vm: {"cluster": stage.world.cluster, "name": "x", "path": "/srv/x"}
    ),
    "find_luns": Case(
        "cluster", "storage.manage", lambda stage, vm: {"cluster": stage.world.cluster, "portal": "192.0.2.10"}
    ),
    "delete_storage": Case("storage", "storage.manage", lambda stage, vm: {"storage": stage.world.storage}),
    "create_network": Case(
        "cluster",
        "network.manage",
        lambda stage, vm: {"cluster": stage.world.cluster, "name": "x", "subnet": "10.1.0.0/24"},
    ),
    "edit_network": Case("network", "network.manage", lambda stage, vm: {"network": stage.world.network, "name": "x"}),
    "delete_network": Case("network", "network.manage", lambda stage, vm: {"network": stage.world.network}),
    "create_template": Case(
        "cluster", "template.create", lambda stage, vm: {"cluster": stage.world.cluster, "name": "x"}
    ),
    "edit_template": Case(
        "template", "template.manage", lambda stage, vm: {"template": stage.world.template, "os_name": "x"}
    ),
    "delete_template": Case("template", "template.manage", lambda stage, vm: {"template": stage.world.template}),
    "import_template_version": Case(
        "template",
        "template.manage",
        lambda stage, vm: {"template": stage.world.template, "storage": stage.world.storage, "source": "no.qcow2"},
    ),
    "make_template_version": Case("template", "template.manage", lambda stage, vm: {"vm": vm}),
    "edit_template_version": Case(
        "template", "template.manage", lambda stage, vm: {"version": stage.world.version, "notes": "x"}
    ),
    "delete_template_version": Case("template", "template.manage", lambda stage, vm: {"version": stage.world.version}),
}


def test_every_action_has_a_case():
    assert CASES.keys() == ACTIONS.keys()


@pytest.fixture
def scene(stage):
    vm = VirtualMachine.objects.create(
        cluster=stage.world.cluster,
        host=stage.world.host,
        template_version=stage.world.version,
        name="theirs",
        state="ready",
        power_state="unknown",
    )
    return stage, vm


def count():
    return Job.objects.count(), Event.objects.count(), VirtualMachine.objects.count(), Cluster.objects.count()


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_stranger_finds_nothing(scene, name):
    stage, vm = scene
    before = count()
    with pytest.raises(Missing if CASES[name].on else Denied):
        ACTIONS[name](actor=stage.world.actor("charlie"), **CASES[name].wish(stage, vm))
    assert count() == before


@pytest.mark.parametrize("name", sorted(CASES))
def test_who_may_only_look_is_denied(scene, name):
    stage, vm = scene
    stage.world.grant(stage.world.alice, "auditor")
    before = count()
    with pytest.raises(Denied):
        ACTIONS[name](actor=stage.world.actor("alice"), **CASES[name].wish(stage, vm))
    assert count() == before


@pytest.mark.parametrize("name", sorted(name for name in CASES if CASES[name].on))
def test_the_verb_itself_is_enough_and_no_other_helps(scene, name):
    """With the verb (and seeing) on the object, the action gets past the door; whatever comes then is no Denied."""
    stage, vm = scene
    case = CASES[name]
    seeing = ["*.view"] if name != "create_vm" else ["*.view", "template.use"]
    exact = Role.objects.create(name="exact", title="Exact", verbs=[case.verb, *seeing])
    others = [
        verb
        for verb in ("vm.power", "vm.edit", "vm.delete", "vm.use", "host.manage", "template.manage")
        if verb != case.verb
    ]
    wrong = Role.objects.create(name="wrong", title="Wrong", verbs=[*others, *seeing])
    on = vm if case.on == "vm" else getattr(stage.world, case.on)
    for role, person in ((exact, "alice"), (wrong, "bob")):
        stage.world.grant(getattr(stage.world, person), role.name, on)
        stage.world.grant(getattr(stage.world, person), "auditor")
    if name == "make_template_version":
        for person in ("alice", "bob"):
            stage.world.grant(getattr(stage.world, person), "vm-manager", vm)
    if name == "create_vm":
        for person in ("alice", "bob"):
            stage.world.grant(getattr(stage.world, person), "exact", stage.world.template)
    if name in ("attach_disk", "attach_shared_disk", "attach_device"):
        for person in ("alice", "bob"):
            stage.world.grant(getattr(stage.world, person), "vm-manager", vm)
    if name == "clone_vm":
        for person in ("alice", "bob"):
            stage.world.grant(getattr(stage.world, person), "vm-creator", stage.world.cluster)
    with pytest.raises(Denied):
        ACTIONS[name](actor=stage.world.actor("bob"), **case.wish(stage, vm))
    try:
        ACTIONS[name](actor=stage.world.actor("alice"), **case.wish(stage, vm))
    except (Denied, Missing):
        pytest.fail(f"{case.verb} does not open {name}")
    except Exception as error:
        assert error.status in (400, 409, 503)  # past the door, another rule or a lack of hosts said no
