"""A host is switched off at the instant at which machines are placed, in real threads: it gets all of them or none."""

import pytest
from django.db import connection

from broker.core.errors import BerthError
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt.actions.create_vm import create_vm
from broker.virt.models import Host, VirtualMachine
from tests.at_once import all_at_once
from tests.virt.actions.stage import SYSTEM
from tests.virt.power import installed

ROUNDS, MACHINES = 6, 3


class Races:
    @pytest.fixture
    def pair(self, db, settings, monkeypatch):
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        return installed(monkeypatch)

    def test_never_off_with_a_machine_on_it(self, pair):
        """Both hosts are open, and the one that is switched off is the better one: it has more memory free."""
        Host.objects.filter(pk=pair.right.pk).update(memory_free_bytes=32 << 30)
        pair.rules(policy="none")
        for number in range(ROUNDS):
            made = [
                create_vm(
                    actor=SYSTEM, name=f"m-{number}-{one}", version=pair.world.version, network=pair.world.network
                )
                for one in range(MACHINES)
            ]  # fmt: skip
            sleep = enqueue("host.sleep", actor=SYSTEM, subject=pair.left)
            all_at_once([lambda job=job: Runner().run(job.pk) for job in (*made, sleep)], BerthError)
            sleep.refresh_from_db()
            there = VirtualMachine.objects.filter(host=pair.left).count()
            assert not (("left", "off") in pair.orders and there), (sleep.state, there)
            pair.work(12, duty_too=False)
            sleep.refresh_from_db()
            assert (pair.state("left") == "asleep") == (sleep.state == "succeeded") == (not pair.on["left"])
            assert not (pair.state("left") == "asleep" and VirtualMachine.objects.filter(host=pair.left).exists())
            assert set(Job.objects.filter(plan="vm.create").values_list("state", flat=True)) == {"succeeded"}
            VirtualMachine.objects.all().delete()
            if not pair.on["left"]:
                pair.run(pair.left.fence_devices.get(), "on")
                Host.objects.filter(pk=pair.left.pk).update(state="active", asleep_at=None)
            pair.orders.clear()


@pytest.mark.django_db(transaction=True)
class TestAtOnce(Races):
    """SQLite in the fast lane; PostgreSQL when the whole run is on it."""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestAtOnceOnPostgres(Races):
    def test_it_is_postgres(self):
        assert connection.vendor == "postgresql", "run with: python -m tests.servers.postgres -- pytest -m postgres"
