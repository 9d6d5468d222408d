"""Of whose changes a browser hears: only of what its user may see, and rights that changed are felt in ten seconds."""

import uuid

import pytest

from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from portal.live.sight import REMEMBERED, Sight


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def machine(world):
    return VirtualMachine.objects.create(cluster=world.cluster, name="one", state="ready", power_state="running")


def sight(world, name: str, clock: Clock | None = None) -> Sight:
    return Sight(lambda: world.actor(name), clock or Clock())


def test_machines_are_news_to_those_who_may_see_them(world, machine):
    world.grant(world.alice, "vm-user", machine)
    assert sight(world, "alice").sees("vm", str(machine.pk))
    assert sight(world, "root").sees("vm", str(machine.pk))
    assert not sight(world, "charlie").sees("vm", str(machine.pk))


def test_what_was_deleted_is_news_to_those_who_look_after_its_kind(world):
    gone = str(uuid.uuid4())
    assert sight(world, "root").sees("vm", gone)
    assert not sight(world, "charlie").sees("vm", gone)


def test_a_job_is_news_to_its_actor_and_to_those_who_see_its_subject(world, machine):
    job = Job.objects.create(
        plan="vm.start", title="Start", subject_kind="vm", subject_id=machine.pk, subject_name="one", actor=world.bob,
        actor_name="bob",
    )  # fmt: skip
    world.grant(world.alice, "vm-user", machine)
    assert sight(world, "bob").sees("job", str(job.pk))
    assert sight(world, "alice").sees("job", str(job.pk))
    assert not sight(world, "charlie").sees("job", str(job.pk))


@pytest.mark.parametrize(
    ("kind", "id"), [("vm", "not-an-id"), ("nonsense", "3f1c9a52-0f6e-4f0e-9d55-6d0f8f1d2a11"), ("", "")]
)
def test_strange_news_reach_no_stranger(world, kind, id):
    assert not sight(world, "charlie").sees(kind, id)


def test_a_right_taken_away_is_felt_after_ten_seconds(world, machine, django_assert_num_queries):
    clock = Clock()
    grant = world.grant(world.alice, "vm-user", machine)
    view = sight(world, "alice", clock)
    assert view.sees("vm", str(machine.pk))
    grant.delete()
    with django_assert_num_queries(0):
        assert view.sees("vm", str(machine.pk))
    clock.now = REMEMBERED + 1
    assert not view.sees("vm", str(machine.pk))
