"""Claims at the same instant, in real threads with a database connection each."""

import pytest
from django.db import connection

from broker.access.actor import Actor
from broker.access.models import Quota
from broker.core.errors import OverQuota
from broker.jobs.models import Job
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import VirtualMachine
from pools.actions.allocate import allocate
from pools.models import Desktop
from tests.access.scene import Scene, whose_quota
from tests.at_once import all_at_once
from tests.world import World


class Races:
    """Claims at the same instant never go over: each sees what the one before it wrote."""

    TABS = 6

    @pytest.fixture
    def scene(self, db):
        return Scene(World.build())

    @pytest.mark.parametrize("whose", ["user", "group", "each", "cluster"])
    def test_starts_from_many_tabs(self, scene, whose):
        world = scene.world
        Quota.objects.create(**whose_quota(world, whose), running=2)
        machines = [scene.machine(owner=world.bob) for _tab in range(self.TABS)]
        results = all_at_once(
            [lambda vm=vm: start_vm(actor=Actor.for_user(world.root), vm=vm) for vm in machines], OverQuota
        )
        assert sum(result is None for result in results) == 2
        assert Job.objects.filter(plan="vm.start").count() == 2

    def test_desktops_of_two_pools_from_many_tabs(self, scene):
        world = scene.world
        pools = [scene.pool("one", size=self.TABS), scene.pool("two", size=self.TABS, power="off")]
        Quota.objects.create(user=world.alice, running=1)
        results = all_at_once(
            [lambda pool=pool: allocate(actor=Actor.for_user(world.alice), pool=pool) for pool in pools * 3], OverQuota
        )
        assert sum(result is None for result in results) == 1
        assert Desktop.objects.filter(holder=world.alice).count() == 1

    def test_machines_made_at_once(self, scene):
        world = scene.world
        Quota.objects.create(group=world.staff, machines=3, disk_gib=100)
        world.grant(world.bob, "power-user", world.cluster)
        results = all_at_once(
            [
                lambda number=number: create_vm(
                    actor=Actor.for_user(world.bob), name=f"made-{number}", version=world.version
                )
                for number in range(self.TABS)
            ],
            OverQuota,
        )
        assert sum(result is None for result in results) == 3
        assert VirtualMachine.objects.filter(owner=world.bob).count() == 3


@pytest.mark.django_db(transaction=True)
class TestAtOnce(Races):
    """SQLite in the fast lane; PostgreSQL when the whole run is on it."""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestAtOnceOnPostgres(Races):
    def test_it_is_postgres(self):
        assert connection.vendor == "postgresql", "run with: python -m tests.servers.postgres -- pytest -m postgres"
