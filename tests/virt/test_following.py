"""Machines moved by others are followed; one definition is left of each, and two running copies are never touched."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import following, hosts, specs
from broker.virt.driver import MigrationOrder, PowerState
from broker.virt.models import ForeignMachine, StorageDomain, VirtualMachine
from broker.virt.observe import apply
from tests.virt.actions.stage import fresh
from tests.virt.plans.test_migrate import Pair


@pytest.fixture
def pair(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    pair = Pair()
    pair.vm = pair.running()
    Job.objects.update(finished_at=clock.now() - timedelta(minutes=1))
    return pair


def look(pair) -> None:
    """A pass of the monitor over both hosts."""
    for host in (pair.left, pair.right):
        asked = clock.now()
        apply(host, hosts.connection(host).observe(), full_pass=True, at=asked)


def by_hand(pair) -> None:
    """What `virsh migrate` does."""
    hosts.connection(pair.left).begin_migration(str(pair.vm.pk), MigrationOrder(uri=pair.right.uri))
    hosts.connection(pair.left).migration(str(pair.vm.pk))
    look(pair)


def kinds(pair) -> list[str]:
    return list(Event.objects.filter(subject_id=pair.vm.pk).order_by("pk").values_list("kind", flat=True))[-2:]


def test_a_machine_moved_by_hand_is_followed(pair):
    by_hand(pair)
    assert ForeignMachine.objects.filter(host=pair.right, uuid=pair.vm.pk).exists()
    assert following.follow() == 1 and following.follow() == 0
    look(pair)
    following.follow()
    look(pair)
    pair.is_on(pair.right, pair.vm)
    assert Event.objects.filter(kind="vm.changed-outside.moved", subject_id=pair.vm.pk).count() == 1
    assert not ForeignMachine.objects.filter(uuid=pair.vm.pk).exists()


def test_a_broken_machine_is_mended_where_it_is_found(pair):
    by_hand(pair)
    VirtualMachine.objects.filter(pk=pair.vm.pk).update(state="broken")
    assert following.follow() == 1
    assert fresh(pair.vm).state == "ready" and fresh(pair.vm).host == pair.right


def test_what_is_left_behind_goes_when_the_machine_runs_elsewhere(pair):
    there = hosts.connection(pair.right)
    there.ensure_storage(specs.storage_spec(pair.world.storage))
    there.define(specs.machine_spec(VirtualMachine.objects.prefetch_related("disks", "nics").get(pk=pair.vm.pk)))
    look(pair)
    assert following.follow() == 1
    pair.is_on(pair.left, pair.vm)
    assert kinds(pair)[-1] == "vm.stale-copy"


def test_a_definition_beside_a_machine_that_is_off_stays(pair):
    there = hosts.connection(pair.right)
    there.define(specs.machine_spec(VirtualMachine.objects.prefetch_related("disks", "nics").get(pk=pair.vm.pk)))
    hosts.connection(pair.left).power_off(str(pair.vm.pk))
    look(pair)
    assert following.follow() == 0 and pair.power(pair.right, pair.vm) is PowerState.OFF


def test_two_running_copies_are_told_of_once_and_left(pair):
    there = hosts.connection(pair.right)
    there.define(specs.machine_spec(VirtualMachine.objects.prefetch_related("disks", "nics").get(pk=pair.vm.pk)))
    with pair.worlds["right"].changing() as data:
        data["machines"][str(pair.vm.pk)]["power"] = "running"
    look(pair)
    assert following.follow() == 1 and following.follow() == 0
    assert kinds(pair)[-1] == "vm.twice"
    assert {pair.power(host, pair.vm) for host in (pair.left, pair.right)} == {PowerState.RUNNING}


@pytest.mark.parametrize("why", ["job", "moving", "local", "stopped", "other cluster"])
def test_what_may_be_something_else_is_left_alone(pair, why):
    by_hand(pair)
    rows = VirtualMachine.objects.filter(pk=pair.vm.pk)
    if why == "job":
        Job.objects.filter(subject_id=pair.vm.pk).update(state="running", finished_at=None)
    elif why == "moving":
        rows.update(moving_to=pair.right)
    elif why == "local":
        StorageDomain.objects.update(host=pair.left)
    elif why == "stopped":  # it was shut down where it was; the other one is somebody's copy
        line = hosts.connection(pair.left)
        line.define(specs.machine_spec(VirtualMachine.objects.prefetch_related("disks", "nics").get(pk=pair.vm.pk)))
    else:
        ForeignMachine.objects.update(host=pair.world.host)
    assert following.follow() == 0 and fresh(pair.vm).host == pair.left
