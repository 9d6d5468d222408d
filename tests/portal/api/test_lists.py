"""Lists cost the same number of statements at 10 rows as at 200."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access.models import Grant, Role
from broker.connections.models import Session
from broker.core import clock
from broker.directories.models import Group, User
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import Cluster, Host, Network, StorageDomain, TemplateVersion, VmTemplate
from portal.models import ApiToken

pytestmark = pytest.mark.urls("tests.portal.api.urls")
RANGE = "02:00:00:00:00:00-02:00:00:00:00:ff"
LISTS = [
    "vms", "pools", "desktops", "templates", "template-versions", "hosts", "storage-domains", "networks", "clusters",
    "jobs", "events", "users", "groups", "roles", "grants", "tokens", "sessions", "vms/{vm}/samples",
    "pools/{pool}/entitlements", "hosts/{host}/foreign-machines",
]  # fmt: skip


@pytest.fixture
def fill(world, make_vm, make_pool, make_desktop):
    """`fill(3)`: so many more rows of every kind."""
    first = make_pool("pool-first", size=500)
    counter = iter(range(100_000))

    def add(count):
        for number in (next(counter) for _ in range(count)):
            user = User.objects.create(directory=world.directory, username=f"u{number}")
            group = Group.objects.create(directory=world.directory, name=f"g{number}")
            group.members.add(user)
            Grant.objects.create(
                user=user, role=Role.objects.get(name="pool-user"), object_kind="pool", object_id=first.pk
            )
            Role.objects.create(name=f"r{number}", title="r", verbs=["vm.view"])
            ApiToken.objects.create(user=world.root, name=f"t{number}")
            cluster = Cluster.objects.create(name=f"c{number}", mac_ranges=RANGE)
            Host.objects.create(cluster=cluster, name=f"h{number}")
            StorageDomain.objects.create(cluster=cluster, name=f"s{number}", path=f"/s{number}")
            Network.objects.create(cluster=cluster, name=f"n{number}")
            template = VmTemplate.objects.create(cluster=cluster, name=f"t{number}")
            TemplateVersion.objects.create(template=template, number=1, storage=world.storage, volume=f"v{number}")
            desktop = make_desktop(first, number, holder=user)
            make_pool(f"pool-{number}")
            Job.objects.create(
                plan="vm.start",
                title="Start",
                subject_kind="vm",
                subject_id=desktop.vm_id,
                subject_name="x",
                actor_name="x",
            )
            Event.objects.create(at=clock.now(), kind="x", actor_name="x", template="x")
            Session.objects.create(user=user, vm=desktop.vm, gateway="g")
            desktop.vm.samples.create(at=clock.now())
            world.host.foreign_machines.create(uuid=uuid4(), name=f"f{number}", observed_at=clock.now())
        return {"vm": desktop.vm_id, "pool": first.pk, "host": world.host.pk}

    return add


def test_the_number_of_statements_does_not_grow(caller, fill):
    root = caller("root")
    ids = fill(10)

    def measure():
        counts = {}
        for name in LISTS:
            with CaptureQueriesContext(connection) as queries:
                answer = root.get(name.format(**ids) + "/", page_size=500)
            assert answer.status_code == 200, (name, answer.content)
            counts[name] = len(queries)
        return counts

    root.get("me/")  # writes down that the token is used
    few = measure()
    assert len(LISTS) == len(few)
    fill(190)
    assert measure() == few
    assert max(few.values()) <= 8
