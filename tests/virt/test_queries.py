"""Lists cost the same number of queries at any length."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.jobs.models import Job
from broker.virt import queries
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Disk, Host, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from tests.virt.actions.stage import SYSTEM, Stage

# What a list or page reads of each row.
LISTS = {
    "machines": ("host", "cluster", "template_version"),
    "machine_details": ("host", "cluster", "template_version", "disks.storage", "nics.network"),
    "hosts": ("cluster", "vm_count", "running_count"),
    "host_details": ("cluster", "vms", "foreign_machines", "storage_domains"),
    "clusters": ("host_count", "vm_count"),
    "storage_domains": ("cluster", "host", "disk_count", "image_count"),
    "networks": ("cluster", "nic_count"),
    "templates": ("cluster", "versions.storage", "versions.template", "versions.vm_count"),
}


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


def grow(stage, start, count):
    world = stage.world
    for index in range(start, start + count):
        host = Host.objects.create(cluster=world.cluster, name=f"h{index}", driver="simulated", uri=f"sim://h{index}")
        storage = StorageDomain.objects.create(cluster=world.cluster, name=f"s{index}", path=f"/srv/{index}", host=host)
        network = Network.objects.create(cluster=world.cluster, name=f"n{index}")
        template = VmTemplate.objects.create(cluster=world.cluster, name=f"t{index}")
        version = TemplateVersion.objects.create(template=template, number=1, storage=storage, volume=f"v{index}")
        vm = VirtualMachine.objects.create(
            cluster=world.cluster, host=host, template_version=version, name=f"vm{index}"
        )
        Disk.objects.create(vm=vm, storage=storage, volume=f"d{index}")
        Nic.objects.create(vm=vm, network=network, mac=f"52:54:00:00:00:{index:02x}")


def read(name, actor):
    """Read the list and all it promises; returns its length and the number of queries."""
    with CaptureQueriesContext(connection) as queried:
        rows = list(getattr(queries, name)(actor))
        for row in rows:
            for path in LISTS[name]:
                first, _, second = path.partition(".")
                value = getattr(row, first)
                for item in value.all() if hasattr(value, "all") else [value]:
                    str(getattr(item, second) if second else item)
    return len(rows), len(queried)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("person", ["root", "alice"])
def test_lists(stage, name, person):
    stage.world.grant(stage.world.alice, "auditor", stage.world.cluster)
    grow(stage, 0, 2)
    few, queries_for_few = read(name, stage.world.actor(person))
    grow(stage, 2, 20)
    many, queries_for_many = read(name, stage.world.actor(person))
    assert 0 < few <= many
    assert queries_for_many == queries_for_few


def test_a_stranger_sees_nothing(stage):
    grow(stage, 0, 2)
    for name in LISTS:
        assert list(getattr(queries, name)(stage.world.actor("charlie"))) == []


def test_active_jobs(stage, django_assert_num_queries):
    one, two = stage.make("one"), stage.make("two")
    job = start_vm(actor=SYSTEM, vm=one)
    with django_assert_num_queries(1):
        assert queries.active_jobs("vm", [one.pk, two.pk]) == {one.pk: job}
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    assert queries.active_jobs("vm", [one.pk, two.pk]) == {}
