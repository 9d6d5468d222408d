"""What placement reads from the rows."""

import pytest

from broker.core.errors import NoCapacity
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Host, StorageDomain, VirtualMachine
from broker.virt.placement.gather import hosts_of, picture_of, place, request_of, verdicts_on
from tests.virt.actions.stage import SYSTEM, Stage, done, fresh


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


def test_memory_on_nodes_is_what_machines_there_take_and_the_refusal_says_so(stage):
    """Whether they run or are being started; who is off, or goes by no node, takes none that Berth knows of."""
    nodes = [{"number": number, "cpus": str(number), "memory_bytes": 1 << 30} for number in (0, 1)]
    Host.objects.update(nodes=nodes, memory_bytes=2 << 30, memory_free_bytes=2 << 30)

    def bound(name, *, memory=400, **options):
        options = {"numa_mode": "strict", "numa_host_nodes": "0"} | options
        return stage.make(name, memory_mib=memory, options=options)

    running, starting = bound("one"), bound("two", numa_mode="preferred")
    wanted, elsewhere, small = bound("three", memory=300), bound("four", numa_host_nodes="1"), bound("five", memory=200)
    stage.make("any", memory_mib=400, start=True)
    done(start_vm(actor=SYSTEM, vm=fresh(running)))
    start_vm(actor=SYSTEM, vm=fresh(starting))
    request = request_of(wanted)
    (facts,) = hosts_of(stage.world.cluster.pk, asked=request)
    assert facts.on_nodes == {frozenset({0}): 800}
    (facts,) = hosts_of(stage.world.cluster.pk, besides=running.pk, asked=request)
    assert facts.on_nodes == {frozenset({0}): 400}
    (verdict,) = verdicts_on(wanted)
    (reason,) = verdict.refusals
    assert (reason.rule, reason.template % reason.params) == (
        "numa", "its NUMA nodes 0 have 1024 MiB, of which machines on it take 800, and this one takes 300",
    )  # fmt: skip
    assert not verdicts_on(elsewhere)[0].refusals
    assert not verdicts_on(small)[0].refusals
    assert not picture_of(stage.world.cluster).hosts[stage.world.host.pk].on_nodes.keys() - {frozenset({0})}
