"""Instance types: made, chosen, remembered; what one is later changes no machine."""

from importlib import import_module

import pytest
from django.apps import apps

from broker.events.models import Event
from broker.virt.models import InstanceType, VirtualMachine

pytestmark = pytest.mark.urls("tests.portal.api.urls")
LARGE = {"name": "wide", "vcpus": 4, "memory_mib": 4096, "options": {"sockets": 1, "cores": 4, "max_memory_mib": 8192}}


@pytest.fixture(autouse=True)
def first(db):
    """Those of the migration: tests that empty the database may have come before these in the same process."""
    InstanceType.objects.all().delete()
    import_module("broker.virt.migrations.0029_instance_types").make_first(apps, None)


@pytest.fixture
def root(caller):
    return caller("root")


@pytest.fixture
def wide(root):
    return InstanceType.objects.get(pk=root.post("instance-types/", LARGE).json()["id"])


def made(root, world, **wish):
    answer = root.post("vms/", {"name": "web", "version": str(world.version.pk), **wish})
    assert answer.status_code == 202, answer.content
    return VirtualMachine.objects.get(pk=answer.json()["subject"]["id"])


def test_some_are_there_from_the_beginning(root):
    told = {one["name"]: (one["vcpus"], one["memory_mib"]) for one in root.get("instance-types/").json()["results"]}
    assert told == {"small": (1, 2048), "medium": (2, 4096), "large": (4, 8192), "xlarge": (8, 16384)}


def test_a_machine_is_made_by_one_and_remembers_it(root, world, wide):
    vm = made(root, world, instance_type=str(wide.pk), options={"sound": True})
    assert (vm.vcpus, vm.memory_mib) == (4, 4096)
    assert vm.options == LARGE["options"] | {"sound": True}
    assert root.get(f"vms/{vm.pk}/").json()["instance_type"]["name"] == "wide"
    other = made(root, world, name="db", instance_type=str(wide.pk), memory_mib=6000)
    assert (other.vcpus, other.memory_mib) == (4, 6000), "what is said goes before the type"
    answer = root.patch(f"instance-types/{wide.pk}/", {"memory_mib": 2048, "options": {}})
    assert answer.status_code == 200 and answer.json()["options"] == {}
    vm.refresh_from_db()
    assert (vm.memory_mib, vm.options["cores"], vm.instance_type) == (4096, 4, wide)
    assert root.delete(f"instance-types/{wide.pk}/").status_code == 204
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib, vm.instance_type) == (4, 4096, None)
    kinds = set(Event.objects.filter(kind__startswith="instance-type.").values_list("kind", flat=True))
    assert kinds == {"instance-type.created", "instance-type.changed", "instance-type.deleted"}


def test_a_machine_is_resized_by_one(root, world, wide, make_vm):
    vm = make_vm("one", power="off")
    assert root.patch(f"vms/{vm.pk}/", {"instance_type": str(wide.pk)}).status_code == 200
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib, vm.options["cores"], vm.instance_type) == (4, 4096, 4, wide)


@pytest.mark.parametrize(
    "wrong",
    [
        {"vcpus": 0}, {"memory_mib": 1}, {"name": "../x"}, {"name": "a b"}, {"description": "x" * 201},
        {"options": {"cores": 3}}, {"options": {"qemu": "x"}}, {"options": {"max_vcpus": 2}},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(root, wrong):
    assert root.post("instance-types/", LARGE | wrong).status_code == 400
    assert not InstanceType.objects.filter(name="wide").exists()


def test_only_who_runs_the_system_changes_them(world, root, wide, caller):
    assert caller("charlie").get("instance-types/").json()["results"] == []
    assert caller("charlie").patch(f"instance-types/{wide.pk}/", {"vcpus": 1}).status_code == 404
    world.grant(world.alice, "vm-creator", world.cluster)
    assert len(caller("alice").get("instance-types/").json()["results"]) == 5
    assert caller("alice").patch(f"instance-types/{wide.pk}/", {"vcpus": 1}).status_code == 403
    assert caller("charlie").post("instance-types/", LARGE | {"name": "own"}).status_code == 403
