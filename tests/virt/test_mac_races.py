"""Addresses drawn at the same instant, in real threads with a database connection each."""

import time

import pytest
from django.db import DatabaseError, connection, transaction

from broker.core.errors import Conflict
from broker.virt import macs
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.models import Nic, VirtualMachine
from tests.at_once import all_at_once
from tests.virt.actions.stage import SYSTEM
from tests.world import World

SIZE = 24


class Races:
    """Of a range of N addresses N are given out, each once; whoever comes then is refused."""

    @pytest.fixture
    def world(self, db):
        world = World.build()
        edit_cluster(actor=SYSTEM, cluster=world.cluster, mac_ranges="02:00:00:00:00:00-02:00:00:00:00:17")
        return world

    def machines(self, world, count):
        return [
            VirtualMachine.objects.create(
                cluster=world.cluster, host=world.host, name=f"m{number}", state="ready", power_state="off"
            )
            for number in range(count)
        ]  # fmt: skip

    def test_two_workers_empty_a_range(self, world):
        def draw(vm):
            for _ in range(SIZE // 2):
                with transaction.atomic():
                    macs.plug(Nic(vm=vm, network=world.network))

        assert all_at_once([lambda vm=vm: draw(vm) for vm in self.machines(world, 2)], Conflict) == [None, None]
        assert Nic.objects.values("mac").distinct().count() == Nic.objects.count() == SIZE
        with pytest.raises(Conflict) as caught, transaction.atomic():
            macs.plug(Nic(vm=VirtualMachine.objects.first(), network=world.network))
        assert caught.value.rule == "mac.free"

    def test_the_last_addresses_go_to_whoever_is_first(self, world):
        first, *others = self.machines(world, 7)
        for _ in range(SIZE - 2):
            macs.plug(Nic(vm=first, network=world.network))
        told = all_at_once(
            [lambda vm=vm: create_nic(actor=SYSTEM, vm=vm, network=world.network) for vm in others], Conflict
        )
        assert sum(one is None for one in told) == 2
        assert {one.rule for one in told if one} == {"mac.free"}
        assert Nic.objects.values("mac").distinct().count() == SIZE

    def test_transactions_with_several_cards_each_never_wait_for_each_other(self, world, monkeypatch):
        """All of a range goes to two of them; each card is followed by a rest in which the other one goes on."""
        write = macs.sql.add

        def slowly(row):
            write(row)
            time.sleep(0.05)
            return row

        monkeypatch.setattr(macs.sql, "add", slowly)

        def draw(vm):
            with transaction.atomic():
                macs.plug_all([Nic(vm=vm, network=world.network, order=order) for order in range(SIZE // 2)])

        machines = self.machines(world, 2)
        for _ in range(3):
            assert all_at_once([lambda vm=vm: draw(vm) for vm in machines], DatabaseError) == [None, None]
            assert Nic.objects.values("mac").distinct().count() == Nic.objects.count() == SIZE
            Nic.objects.all().delete()


@pytest.mark.django_db(transaction=True)
class TestAtOnce(Races):
    """SQLite in the fast lane; PostgreSQL when the whole run is on it."""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestAtOnceOnPostgres(Races):
    def test_it_is_postgres(self):
        assert connection.vendor == "postgresql", "run with: python -m tests.servers.postgres -- pytest -m postgres"
