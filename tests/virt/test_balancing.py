"""Balancing that acts: off by default, a few at a time, with rests between, and never beside other moves."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import balancing
from broker.virt.models import Cluster, Host, VirtualMachine
from broker.virt.placement.gather import picture_of
from tests.jobs_help import run_all
from tests.virt.plans.test_migrate import Pair

RULES = {"policy": "vm_evenly_distributed", "high_vm_count": 2, "migration_threshold": 2}


@pytest.fixture
def pair(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    pair = Pair()
    for number in range(6):
        pair.make(f"desk-{number}", start=True)
    Host.objects.update(state="active")
    return pair


def rules(pair, **more) -> None:
    Cluster.objects.filter(pk=pair.world.cluster.pk).update(rules=RULES | more)


def spread(pair) -> tuple[int, int]:
    return tuple(VirtualMachine.objects.filter(host=host).count() for host in (pair.left, pair.right))


def later(minutes: int) -> None:
    """As if the jobs were so much longer ago."""
    back = clock.now() - timedelta(minutes=minutes)
    Job.objects.filter(finished_at__isnull=False).update(finished_at=back, created_at=back)


@pytest.mark.parametrize("given", [{}, {"balancing": "rehearse"}, {"policy": "none", "balancing": "automatic"}])
def test_off_by_default(pair, given):
    rules(pair, **given)
    assert balancing.run() == 0


def test_two_at_once_until_it_is_even(pair):
    rules(pair, balancing="automatic")
    assert balancing.run() == 2 and balancing.run() == 0
    run_all()
    assert spread(pair) == (4, 2)
    assert balancing.run() == 0  # the load has not been measured anew
    later(3)
    moved = Event.objects.filter(kind="vm.balanced")
    assert moved.count() == 2 and "has 6 machines" in str(moved.order_by("pk").first().message)
    assert len(balancing.due(Cluster.objects.get())) == 1
    assert balancing.run() == 1
    run_all()
    later(30)
    assert spread(pair) == (3, 3) and balancing.run() == 0


def test_a_machine_that_could_not_be_moved_is_left_alone(pair):
    rules(pair, balancing="automatic")
    balancing.run()
    first = set(Job.objects.filter(plan="vm.migrate").values_list("subject_id", flat=True))
    Job.objects.filter(plan="vm.migrate").update(state="failed", finished_at=clock.now())
    later(3)
    assert balancing.run() == 2
    second = set(Job.objects.filter(plan="vm.migrate", state="queued").values_list("subject_id", flat=True))
    assert not first & second and len(second) == 2


@pytest.mark.parametrize("why", ["moving", "emptied", "migrating"])
def test_other_moves_come_first(pair, why):
    rules(pair, balancing="automatic")
    vm = VirtualMachine.objects.first()
    if why == "moving":
        VirtualMachine.objects.filter(pk=vm.pk).update(moving_to=pair.right)
    elif why == "emptied":
        Host.objects.filter(pk=pair.right.pk).update(state="preparing")
    else:
        Job.objects.create(plan="vm.migrate", title="x", subject_kind="vm", subject_id=vm.pk, state="queued")
    assert balancing.run() == 0


def test_rested_machines_stay(pair):
    picture = picture_of(pair.world.cluster)
    tired = frozenset(list(picture.machines)[:2])
    still = [one.id for one in balancing.rested(picture, tired).machines.values() if not one.movable]
    assert set(still) == tired and all(one.movable for one in picture.machines.values())
