"""Observations become rows: newest wins, nothing new writes nothing, what nobody of ours did is told."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import observe
from broker.virt.driver import GuestInfo, PowerState
from broker.virt.last_pass import LastPass
from broker.virt.models import ForeignMachine, Host, VirtualMachine
from tests.virt.monitor.help import at, machine, seen
from tests.world import World

OFF, RUNNING, PAUSED, MISSING = PowerState.OFF, PowerState.RUNNING, PowerState.PAUSED, PowerState.MISSING


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def reload(vm: VirtualMachine) -> VirtualMachine:
    return VirtualMachine.objects.get(pk=vm.pk)


def work_on(vm: VirtualMachine, **fields) -> Job:
    return Job.objects.create(
        plan="vm.start",
        title="Start",
        subject_kind="vm",
        subject_id=vm.pk,
        subject_name=vm.name,
        actor_name="x",
        **fields,
    )


def test_first_observation_fills_the_columns_without_an_event(world):
    vm = machine(world)
    assert observe.apply(world.host, [seen(vm, 1, reason="booted")]) == {vm.pk}
    vm = reload(vm)
    assert (vm.power_state, vm.power_reason, vm.boot_id) == (RUNNING, "booted", "run-1")
    assert vm.observed_at == vm.booted_at == at(1)
    assert vm.consoles == [{"kind": "vnc", "unix": "/run/vnc.sock"}]
    assert kinds() == []


def test_older_never_overwrites_newer(world):
    """Fault F32 of docs/faults.md."""
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 5, OFF)])
    assert observe.apply(world.host, [seen(vm, 4)]) == set()
    assert reload(vm).power_state == OFF


def test_confirmed_state_is_a_floor_too(world):
    """Running at 1, still running at 3: news of 2 arriving last must not win."""
    vm = machine(world)
    for one in (seen(vm, 1), seen(vm, 3), seen(vm, 2, OFF)):
        observe.apply(world.host, [one])
    assert reload(vm).power_state == RUNNING


def test_one_that_left_in_a_move_of_ours_is_off_only_when_nobody_moves_it(world):
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 1)])
    there = Host.objects.create(cluster=world.cluster, name="there", driver="simulated", uri="sim://there")
    VirtualMachine.objects.filter(pk=vm.pk).update(moving_to=there)
    assert observe.apply(world.host, [seen(vm, 2, OFF, reason="migrated")]) == set()
    assert reload(vm).power_state == RUNNING
    VirtualMachine.objects.filter(pk=vm.pk).update(moving_to=None)
    assert observe.apply(world.host, [seen(vm, 3, OFF, reason="migrated")]) == {vm.pk}
    assert reload(vm).power_state == OFF


def test_news_from_before_the_last_full_pass_are_stale(world):
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 1)])
    observe.apply(world.host, [seen(vm, 10)], full_pass=True, at=at(10))
    assert observe.apply(world.host, [seen(vm, 9, OFF)]) == set()
    assert observe.apply(world.host, [seen(vm, 8, OFF)], full_pass=True, at=at(8)) == set()
    assert reload(vm).power_state == RUNNING


def test_quiet_pass_writes_the_host_alone(world):
    machines = [machine(world, f"m{number}") for number in range(50)]
    observe.apply(world.host, [seen(vm, 1) for vm in machines], full_pass=True, at=at(1))
    with CaptureQueriesContext(connection) as captured:
        assert observe.apply(world.host, [seen(vm, 2) for vm in machines], full_pass=True, at=at(2)) == set()
    writes = [query["sql"] for query in captured if not query["sql"].startswith("SELECT")]
    assert len(writes) == 1
    assert "virt_host" in writes[0]
    assert Host.objects.get().observed_at == at(2)


def test_a_pass_costs_few_statements_however_many_machines_changed(world, django_assert_max_num_queries):
    machines = [machine(world, f"m{number}") for number in range(400)]
    with django_assert_max_num_queries(20):
        changed = observe.apply(world.host, [seen(vm, 1) for vm in machines], full_pass=True, at=at(1))
    assert len(changed) == 400


def test_changes_are_published_once_each(world, django_capture_on_commit_callbacks, monkeypatch):
    told = []
    monkeypatch.setattr("broker.events.news._deliver", lambda *what: told.append(what))
    vm = machine(world)
    with django_capture_on_commit_callbacks(execute=True):
        observe.apply(world.host, [seen(vm, 1)])
        observe.apply(world.host, [seen(vm, 2)])
        observe.apply(world.host, [seen(vm, 3, definition="d2")])
    assert told == [("vm", str(vm.pk), "power"), ("vm", str(vm.pk), "changed")]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ((RUNNING, {}), (OFF, {"reason": "destroyed"}), "vm.changed-outside.stopped"),
        ((RUNNING, {}), (OFF, {"reason": "shutdown"}), "vm.shut-down"),
        ((RUNNING, {}), (PowerState.CRASHED, {"reason": "crashed"}), "vm.crashed"),
        ((RUNNING, {}), (PowerState.SUSPENDED, {"reason": "saved"}), "vm.changed-outside.suspended"),
        ((RUNNING, {}), (PAUSED, {"reason": "user"}), "vm.changed-outside.paused"),
        ((RUNNING, {}), (PAUSED, {"reason": "ioerror"}), "vm.disk-trouble"),
        ((RUNNING, {}), (PAUSED, {"reason": "migration"}), None),
        ((PAUSED, {"reason": "user"}), (RUNNING, {}), "vm.changed-outside.resumed"),
        ((OFF, {}), (RUNNING, {}), "vm.changed-outside.started"),
        ((RUNNING, {}), (RUNNING, {"boot_id": "run-2"}), "vm.changed-outside.restarted"),
        ((RUNNING, {}), (RUNNING, {"definition": "d2"}), "vm.changed-outside.edited"),
        ((RUNNING, {}), (MISSING, {"definition": ""}), "vm.changed-outside.removed"),
        ((MISSING, {"definition": ""}), (OFF, {}), "vm.changed-outside.back"),
    ],
)
def test_what_nobody_of_ours_did_is_told(world, before, after, kind):
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 1, before[0], **before[1])])
    Event.objects.all().delete()
    observe.apply(world.host, [seen(vm, 2, after[0], **after[1])])
    assert kinds() == ([kind] if kind else [])
    observe.apply(world.host, [seen(vm, 3, after[0], **after[1])])
    assert len(kinds()) <= 1


def test_what_a_job_does_is_not_told_and_its_definition_is_ours(world):
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 1, OFF)])
    job = work_on(vm)
    observe.apply(world.host, [seen(vm, 2, definition="d2")])
    assert reload(vm).definition == "d2"
    Job.objects.filter(pk=job.pk).update(state="succeeded", finished_at=clock.now())
    observe.apply(world.host, [seen(vm, 3, OFF, definition="d3")])
    assert kinds() == []
    Job.objects.filter(pk=job.pk).update(finished_at=at(0))
    observe.apply(world.host, [seen(vm, 4, definition="d4")])
    assert sorted(kinds()) == ["vm.changed-outside.edited", "vm.changed-outside.started"]
    vm = reload(vm)
    assert (vm.definition, vm.observed_definition) == ("d3", "d4")


def test_crash_under_a_job_is_still_told(world):
    vm = machine(world)
    observe.apply(world.host, [seen(vm, 1)])
    work_on(vm)
    observe.apply(world.host, [seen(vm, 2, PowerState.CRASHED)])
    assert kinds() == ["vm.crashed"]


def test_absent_machine_is_missing_and_never_deleted(world):
    vm, other = machine(world), machine(world, "two")
    observe.apply(world.host, [seen(vm, 1), seen(other, 1)], full_pass=True, at=at(1))
    assert observe.apply(world.host, [seen(other, 2)], full_pass=True, at=at(2)) == {vm.pk}
    vm = reload(vm)
    assert (vm.power_state, vm.state, vm.consoles, vm.boot_id) == (MISSING, "ready", [], "")
    assert vm.observed_definition == "d1"


@pytest.mark.parametrize("fields", [{"state": "creating"}, {"state": "deleting"}, {"created_at": at(5)}])
def test_machine_that_may_rightly_be_absent_is_not_missing(world, fields):
    vm = machine(world, power_state="off", **fields)
    observe.apply(world.host, [], full_pass=True, at=at(2))
    observe.apply(world.host, [seen(vm, 3, MISSING, definition="")])
    assert reload(vm).power_state == OFF


def test_machine_a_job_works_on_is_not_missing_until_it_ended(world):
    vm = machine(world, power_state="off")
    job = work_on(vm)
    observe.apply(world.host, [], full_pass=True, at=at(2))
    assert reload(vm).power_state == OFF
    Job.objects.filter(pk=job.pk).update(state="failed", finished_at=at(0))
    observe.apply(world.host, [], full_pass=True, at=at(3))
    assert reload(vm).power_state == MISSING


def test_broken_machine_seen_again_mends(world):
    vm = machine(world, state="broken", power_state="missing")
    observe.apply(world.host, [seen(vm, 1, OFF)])
    assert reload(vm).state == "ready"
    other = machine(world, "two", state="broken", power_state="off")
    observe.apply(world.host, [seen(other, 1)])
    assert reload(other).state == "broken"


def test_stop_clears_what_was_true_of_the_run(world):
    vm = machine(world, shutdown_asked_at=at(1))
    observe.apply(world.host, [seen(vm, 1)])
    assert reload(vm).shutdown_asked_at is None  # another run than the one that was asked
    assert observe.write_guest(vm.pk, "run-1", GuestInfo(hostname="desk", addresses=("192.0.2.7",), users=("alice",)))
    assert not observe.write_guest(
        vm.pk, "run-1", GuestInfo(hostname="desk", addresses=("192.0.2.7",), users=("alice",))
    )
    observe.write_loads({vm.pk: (40, 1000)})
    VirtualMachine.objects.update(shutdown_asked_at=at(1))
    observe.apply(world.host, [seen(vm, 2, OFF)])
    vm = reload(vm)
    assert (vm.cpu_percent, vm.memory_used_bytes, vm.booted_at, vm.shutdown_asked_at) == (None, None, None, None)
    assert vm.guest["hostname"] == "desk"
    assert (vm.guest["agent"], vm.guest["addresses"], vm.guest["users"]) == (False, [], [])
    assert not observe.write_guest(vm.pk, "run-1", GuestInfo(hostname="late"))


def test_machine_of_another_host_is_not_touched(world):
    elsewhere = Host.objects.create(cluster=world.cluster, name="host-2", driver="simulated", uri="sim://host-2")
    vm = machine(world, power_state="off")
    observe.apply(elsewhere, [seen(vm, 1)], full_pass=True, at=at(1))
    assert reload(vm).power_state == OFF
    assert ForeignMachine.objects.get(host=elsewhere).uuid == vm.pk


def test_foreign_machines_are_listed_followed_and_dropped(world):
    stranger, other = uuid.uuid4(), uuid.uuid4()
    observe.apply(world.host, [seen(stranger, 1, OFF), seen(other, 1)], full_pass=True, at=at(1))
    observe.apply(world.host, [seen(stranger, 2)])
    observe.apply(world.host, [seen(stranger, 1.5, OFF)])
    row = ForeignMachine.objects.get(uuid=stranger)
    assert (row.power_state, row.memory_bytes, row.vcpus) == (RUNNING, 1 << 29, 2)
    observe.apply(world.host, [seen(stranger, 3)], full_pass=True, at=at(3))
    assert list(ForeignMachine.objects.values_list("uuid", flat=True)) == [stranger]
    observe.apply(world.host, [seen(stranger, 4, MISSING)])
    assert not ForeignMachine.objects.exists()
    assert kinds() == []


def test_machine_just_deleted_is_no_stranger(world):
    gone = uuid.uuid4()
    Job.objects.create(
        plan="vm.delete", title="Delete", subject_kind="vm", subject_id=gone, subject_name="x", actor_name="x",
        state="succeeded", finished_at=clock.now(),
    )  # fmt: skip
    observe.apply(world.host, [seen(gone, 1)], full_pass=True, at=at(1))
    assert not ForeignMachine.objects.exists()


def test_wrong_clock_does_not_stop_observing(world):
    vm = machine(world)
    later = clock.now().replace(year=2099)
    VirtualMachine.objects.update(observed_at=later)
    Host.objects.update(observed_at=later)
    observe.forget_future(world.host)
    now = clock.now()
    assert observe.apply(world.host, [seen(vm, 0, at=now)], full_pass=True, at=now) == {vm.pk}


POWERS = st.sampled_from([OFF, RUNNING, PAUSED, PowerState.SUSPENDED, PowerState.CRASHED])


class AnyOrder(TestCase):
    """Whatever arrives late, twice or out of order, in batches of events or passes: the newest stays."""

    @classmethod
    def setUpTestData(cls):
        cls.world = World.build()

    @settings(deadline=None)
    @given(data=st.data(), powers=st.lists(POWERS, min_size=1, max_size=8))
    def test_newest_wins(self, data, powers):
        vm = machine(self.world, f"vm-{uuid.uuid4().hex}")
        Host.objects.update(observed_at=None)
        told = [seen(vm, second, power) for second, power in enumerate(powers, 1)]
        arrivals = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=4))))
        for one in arrivals:
            full_pass = data.draw(st.booleans())
            observe.apply(self.world.host, [one], full_pass=full_pass, at=one.at if full_pass else None)
        assert reload(vm).power_state == powers[-1]


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_end_in_the_newest(world):
    machines = [machine(world, f"m{number}") for number in range(5)]
    powers = [OFF, RUNNING, PAUSED, PowerState.SUSPENDED]
    told = [(second, powers[second % 4]) for second in range(1, 25)]

    def write(part) -> None:
        try:
            for second, power in part:
                observe.apply(world.host, [seen(vm, second, power) for vm in machines])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [told[number::4] for number in range(4)]))
    assert set(VirtualMachine.objects.values_list("power_state", "observed_at")) == {(told[-1][1], at(24))}


class TestLastPass:
    """While host and rows are as they were when they agreed, a pass reads them plainly and compares nothing."""

    def passed(self, world, last, second, *told):
        observe.apply(world.host, told, full_pass=True, at=at(second), last=last)
        return last.held

    def test_it_holds_until_the_host_says_something_else(self, world):
        vm, stranger, last = machine(world), uuid.uuid4(), LastPass()
        one, other = (lambda second: seen(vm, second)), (lambda second: seen(stranger, second, OFF))
        assert not self.passed(world, last, 1, one(1), other(1))  # writes both
        assert not self.passed(world, last, 2, one(2), other(2))  # agrees
        with CaptureQueriesContext(connection) as captured:
            assert self.passed(world, last, 3, one(3), other(3))
        assert len(captured) == 3
        assert not self.passed(world, last, 4, seen(vm, 4, PAUSED), other(4))
        assert reload(vm).power_state == PAUSED
        assert not self.passed(world, last, 5, seen(vm, 5, PAUSED))
        assert not ForeignMachine.objects.exists()
        assert not self.passed(world, last, 6, seen(vm, 6, PAUSED))
        assert self.passed(world, last, 7, seen(vm, 7, PAUSED))
        assert not self.passed(world, last, 8)
        assert reload(vm).power_state == MISSING

    @pytest.mark.parametrize(
        "fields", [{"power_state": "off"}, {"state": "broken"}, {"observed_definition": "d9"}, {"host": None}]
    )
    def test_it_ends_when_somebody_else_writes_a_row(self, world, fields):
        vm, last = machine(world), LastPass()
        for second in (1, 2, 3):
            held = self.passed(world, last, second, seen(vm, second))
        assert held
        VirtualMachine.objects.update(**fields)
        assert not self.passed(world, last, 4, seen(vm, 4))

    def test_what_waits_for_a_job_or_comes_late_is_not_taken_for_agreement(self, world):
        vm, last = machine(world), LastPass()
        self.passed(world, last, 1, seen(vm, 1))
        job = work_on(vm)
        for second in (2, 3, 4):
            assert not self.passed(world, last, second)
        Job.objects.filter(pk=job.pk).update(state="failed", finished_at=at(0))
        VirtualMachine.objects.update(observed_at=at(100))
        for second in (5, 6, 7):
            assert not self.passed(world, last, second)
        assert not self.passed(world, last, 101)
        assert reload(vm).power_state == MISSING
