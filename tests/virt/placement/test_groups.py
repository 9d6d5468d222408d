"""Affinity groups and policies as placement reads them from the rows."""

import pytest

from broker.access.actor import Actor
from broker.core.errors import Invalid, NoCapacity
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.models import AffinityGroup, Host, VirtualMachine
from broker.virt.placement.balance import balance
from broker.virt.placement.gather import picture_of, place

SYSTEM = Actor.system("test")
GIB = 1024**3


@pytest.fixture
def scene(world):
    Host.objects.create(
        cluster=world.cluster, name="host-2", driver="simulated", uri="sim://h2", cpus=8, memory_bytes=64 * GIB,
        memory_free_bytes=64 * GIB, labels=["fast"], cpu_models=["Haswell"],
    )  # fmt: skip
    return world


def machine(world, name, **more):
    return VirtualMachine.objects.create(
        cluster=world.cluster, name=name, **{"state": "ready", "memory_mib": 512, **more}
    )


def group(world, **more):
    return AffinityGroup.objects.create(cluster=world.cluster, name="g", **more)


def test_named_machines_are_kept_apart(scene):
    there, new = machine(scene, "a", host=scene.host, power_state="running"), machine(scene, "b")
    assert place(new).host.name == "host-2"  # the fewer machines
    rule = group(scene, machine_rule="together")
    rule.machines.set([there, new])
    assert place(new).host.name == "host-1"


def test_labels_bind_machines_to_hosts(scene):
    new = machine(scene, "b", labels=["quick"])
    assert place(new).host.name == "host-1"
    group(scene, host_rule="together", machine_label="quick", host_label="fast")
    assert place(new).host.name == "host-2"
    assert place(machine(scene, "c")).host.name == "host-1"


def test_machines_of_one_owner_are_kept_apart(scene):
    machine(scene, "a", host=scene.host, power_state="running", owner=scene.alice)
    group(scene, machine_rule="apart", same_owner=True)
    Host.objects.filter(name="host-2").update(state="maintenance")
    with pytest.raises(NoCapacity):
        place(machine(scene, "b", owner=scene.alice))
    assert place(machine(scene, "c", owner=scene.bob)).host.name == "host-1"


def test_the_policy_of_the_cluster_holds(scene):
    edit_cluster(actor=SYSTEM, cluster=scene.cluster, rules={"cpu_level": "Haswell"})
    Host.objects.filter(name="host-1").update(cpu_models=["Nehalem"])
    assert place(machine(scene, "b")).host.name == "host-2"
    with pytest.raises(Invalid):
        edit_cluster(actor=SYSTEM, cluster=scene.cluster, rules={"policy": "fair"})
    with pytest.raises(Invalid):
        edit_cluster(actor=SYSTEM, cluster=scene.cluster, rules={"fairness": 1})
    with pytest.raises(Invalid):
        edit_cluster(actor=SYSTEM, cluster=scene.cluster, rules={"high_utilization": "80"})
    assert scene.cluster.rules == {"cpu_level": "Haswell"}


def test_memory_is_kept_free_for_a_host_that_fails(scene):
    machine(scene, "big", host=scene.host, power_state="running", available=True, memory_mib=32 * 1024)
    Host.objects.filter(name="host-2").update(memory_free_bytes=33 * GIB)
    Host.objects.filter(name="host-1").update(state="maintenance")
    new = VirtualMachine(cluster=scene.cluster, name="new", memory_mib=2048)
    new.save()
    assert place(new).host.name == "host-2"
    edit_cluster(actor=SYSTEM, cluster=scene.cluster, rules={"reserve_hosts": 1})
    with pytest.raises(NoCapacity) as refused:
        place(new)
    assert any("kept for machines" in reason.message for reason in refused.value.reasons)


def test_a_picture_is_read_with_a_fixed_number_of_queries(scene, django_assert_max_num_queries):
    for number in range(30):
        machine(scene, f"m{number}", host=scene.host, power_state="running")
    with django_assert_max_num_queries(10):
        picture = picture_of(scene.cluster)
    assert len(picture.machines) == 30
    assert balance(picture) == ()
