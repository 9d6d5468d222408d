"""Which hosts see shared storage: found by asking each, believed by placement."""

import pytest

from broker.core.errors import NoCapacity
from broker.events.models import Event
from broker.virt import specs
from broker.virt.driver import Refused
from broker.virt.drivers import load
from broker.virt.drivers.simulated import world as simulated
from broker.virt.models import Host, StorageAttachment, VirtualMachine
from broker.virt.monitor import attachments
from broker.virt.placement.gather import place


@pytest.fixture
def pair(scene, world):
    """The world's host and a second one that see the same storage."""
    hosts = []
    for name in ("left", "right"):
        uri = f"sim://{name}-{world.storage.pk.hex}?site={world.storage.pk.hex}"
        hosts.append(Host.objects.create(cluster=world.cluster, name=name, driver="simulated", uri=uri))
    world.host.delete()
    lines = [load("simulated").connect(host.uri) for host in hosts]
    lines[0].ensure_storage(specs.storage_spec(world.storage))
    return list(zip(hosts, lines, strict=True))


def test_what_one_host_of_a_site_writes_the_other_sees(pair, world):
    (_, left), (_, right) = pair
    spec = specs.storage_spec(world.storage)
    left.create_volume(spec, "one.qcow2", capacity=1 << 20)
    assert right.volume(spec, "one.qcow2").capacity == 1 << 20


def test_a_host_that_does_not_see_it_gets_no_machine(pair, world):
    (left, left_line), (right, right_line) = pair
    simulated(right.uri).fail_next("storage", Refused("stale handle"))
    for host, line in pair:
        attachments.look(host, line)
    assert dict(StorageAttachment.objects.values_list("host__name", "error")) == {"left": "", "right": "stale handle"}
    assert Event.objects.get(kind="storage.unseen").severity == "error"
    vm = VirtualMachine.objects.create(cluster=world.cluster, name="m", memory_mib=64, template_version=world.version)
    assert place(vm).host.id == left.pk
    simulated(left.uri).fail_next("storage", Refused("stale handle"))
    attachments.look(left, left_line)
    with pytest.raises(NoCapacity):
        place(vm)
    attachments.look(right, right_line)
    assert place(vm).host.id == right.pk


def test_a_host_alone_in_its_cluster_is_not_asked(scene, world):
    attachments.look(world.host, load("simulated").connect(scene.host.uri))
    assert not StorageAttachment.objects.exists()
