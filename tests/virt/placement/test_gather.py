"""What placement reads from the rows."""

import pytest

from broker.core.errors import NoCapacity
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Host, StorageDomain, VirtualMachine
from broker.virt.placement.gather import hosts_of, place
from tests.virt.actions.stage import SYSTEM, Stage, fresh


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


def test_running_and_starting_machines_count(stage):
    running, starting, off = stage.make("one", start=True), stage.make("two"), stage.make("three")
    start_vm(actor=SYSTEM, vm=fresh(starting))
    (facts,) = hosts_of(stage.world.cluster.pk)
    assert (facts.machines, facts.promised) == (2, starting.memory_mib << 20)
    (facts,) = hosts_of(stage.world.cluster.pk, besides=starting.pk)
    assert (facts.machines, facts.promised) == (1, 0)
    assert {running.power_state, off.power_state} == {"running", "off"}


def test_local_storage_is_seen_by_its_host_alone(stage):
    world = stage.world
    other = Host.objects.create(cluster=world.cluster, name="host-2", driver="simulated", uri="sim://other")
    local = StorageDomain.objects.create(cluster=world.cluster, name="local", path="/srv/local", host=other)
    seen = {facts.name: facts.storages for facts in hosts_of(world.cluster.pk)}
    assert seen == {"host-1": {world.storage.pk}, "host-2": {world.storage.pk, local.pk}}


def test_the_backing_image_must_be_seen_too(stage):
    world = stage.world
    vm = stage.make()
    other = Host.objects.create(cluster=world.cluster, name="host-2", driver="simulated", uri="sim://other")
    local = StorageDomain.objects.create(cluster=world.cluster, name="local", path="/srv/local", host=other)
    vm.disks.update(storage=local)
    assert place(vm).host.id == other.pk
    world.storage.host = world.host
    world.storage.save()
    with pytest.raises(NoCapacity):
        place(vm)


def test_the_number_of_queries_does_not_grow(stage, django_assert_num_queries):
    for index in range(20):
        Host.objects.create(cluster=stage.world.cluster, name=f"h{index}", driver="simulated", uri=f"sim://h{index}")
    hosts = list(Host.objects.all())
    VirtualMachine.objects.bulk_create(
        VirtualMachine(cluster=stage.world.cluster, host=hosts[i % 20], name=f"vm{i}", power_state="running")
        for i in range(200)
    )
    with django_assert_num_queries(3):
        assert sum(facts.machines for facts in hosts_of(stage.world.cluster.pk)) == 200
