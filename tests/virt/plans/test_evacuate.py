"""host.evacuate over simulated hosts: what can move moves, what cannot is named, and it can be called back."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access.actions.cancel_job import cancel_job
from broker.core import clock
from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt.actions.activate_host import activate_host
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.evacuating import outlook
from broker.virt.models import Host, StorageDomain
from broker.virt.reconcile import GRACE, end_preparing
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_migrate import Pair


@pytest.fixture
def pair(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Pair()


def several(pair, count: int):
    machines = [pair.make(f"desk-{number}", start=True) for number in range(count)]
    Host.objects.filter(pk=pair.right.pk).update(state="active")
    return machines


def state(host: Host) -> str:
    return Host.objects.get(pk=host.pk).state


def test_all_move_and_the_host_rests(pair):
    machines = several(pair, 6)
    assert {(one.machine.id, one.host.name) for one in outlook(pair.left)} == {(vm.pk, "right") for vm in machines}
    job = evacuate_host(actor=SYSTEM, host=pair.left)
    assert state(pair.left) == "preparing"
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting"
    assert job.message_params == {"left": "6", "total": "6", "host": "left"}
    assert Job.objects.filter(plan="vm.migrate").count() == 4  # no more at once
    done(job)
    assert state(pair.left) == "maintenance"
    for vm in machines:
        pair.is_on(pair.right, vm)
    activate_host(actor=SYSTEM, host=Host.objects.get(pk=pair.left.pk))


def test_what_cannot_move_is_named_before_and_after_and_the_host_goes_on(pair):
    free, tied = several(pair, 2)
    tied.disks.update(storage=StorageDomain.objects.create(cluster=pair.world.cluster, name="own", path="/own",
                                                           host=pair.left))  # fmt: skip
    StorageDomain.objects.exclude(name="own").update(capacity_bytes=1 << 40, available_bytes=1)
    assert {one.machine.name: bool(one.host) for one in outlook(pair.left)}["desk-0"]
    job = ended(evacuate_host(actor=SYSTEM, host=pair.left))
    assert job.state == "failed"
    assert [reason["subject"] for reason in job.error["reasons"]] == [tied.name]
    assert job.error["rule"] == "host.evacuate" and tied.name in job.cause
    assert Job.objects.filter(plan="vm.migrate", subject_id=tied.pk).count() == 3
    assert state(pair.left) == "active"
    pair.is_on(pair.right, free)
    pair.is_on(pair.left, tied)


def test_without_room_elsewhere_each_machine_says_so(pair):
    vm = several(pair, 1)[0]
    Host.objects.filter(pk=pair.right.pk).update(state="maintenance")
    one = outlook(pair.left)[0]
    assert one.host is None and {reason.subject: reason.rule for reason in one.reasons}["right"]
    job = ended(evacuate_host(actor=SYSTEM, host=pair.left))
    assert (job.state, state(pair.left)) == ("failed", "active")
    assert job.error["reasons"][0]["subject"] == vm.name
    assert not Job.objects.filter(plan="vm.migrate").exists()


def test_called_back_the_moves_are_cancelled_and_the_host_serves_again(pair):
    vm = several(pair, 1)[0]
    pair.slow(seconds=3600)
    job = evacuate_host(actor=SYSTEM, host=pair.left)
    Runner().run(job.pk)
    move = Job.objects.get(plan="vm.migrate")
    Runner().run(move.pk)
    job.refresh_from_db()
    cancel_job(actor=SYSTEM, job=job)
    assert ended(job).state == "cancelled"
    move.refresh_from_db()
    assert (move.state, state(pair.left)) == ("cancelled", "active")
    pair.is_on(pair.left, vm)


def test_a_machine_moved_by_hand_meanwhile_counts_as_gone(pair):
    vm = several(pair, 1)[0]
    pair.slow(seconds=0)
    migrate_vm(actor=SYSTEM, vm=vm)
    done(evacuate_host(actor=SYSTEM, host=pair.left))
    assert Job.objects.filter(plan="vm.migrate").count() == 1
    pair.is_on(pair.right, vm)


def test_a_host_that_falls_silent_is_left_to_high_availability(pair):
    vm = several(pair, 1)[0]
    pair.slow(seconds=3600)
    job = evacuate_host(actor=SYSTEM, host=pair.left)
    Runner().run(job.pk)
    Host.objects.filter(pk=pair.left.pk).update(error="silent")
    Job.objects.filter(pk=job.pk).update(next_run_at=clock.now())
    Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error["rule"], state(pair.left)) == ("failed", "host.answers", "active")
    assert fresh(vm).host == pair.left


def test_what_was_left_running_in_maintenance_is_moved_later(pair):
    vm = several(pair, 1)[0]
    host = maintain_host(actor=SYSTEM, host=Host.objects.get(pk=pair.left.pk))
    done(evacuate_host(actor=SYSTEM, host=host))
    pair.is_on(pair.right, vm)
    with pytest.raises(Conflict):
        maintain_host(actor=SYSTEM, host=Host.objects.get(pk=host.pk))


def test_a_host_that_nobody_empties_any_more_serves_again(pair):
    Host.objects.filter(pk=pair.left.pk).update(state="preparing")
    assert (end_preparing(), state(pair.left)) == (1, "active")
    job = evacuate_host(actor=SYSTEM, host=Host.objects.get(pk=pair.left.pk))
    Job.objects.filter(pk=job.pk).update(state="errored", finished_at=clock.now())
    assert end_preparing() == 0  # just now: whoever ended it may be at it
    Job.objects.filter(pk=job.pk).update(finished_at=clock.now() - 2 * GRACE)
    assert (end_preparing(), state(pair.left)) == (1, "active")


def test_the_same_queries_however_many_machines(pair, django_assert_num_queries):
    several(pair, 1)
    left = Host.objects.select_related("cluster").get(pk=pair.left.pk)
    with CaptureQueriesContext(connection) as of_one:
        assert len(outlook(left)) == 1
    Host.objects.filter(pk=pair.right.pk).update(state="maintenance")  # so that they start on the left
    for number in range(1, 5):
        pair.make(f"desk-{number}", start=True)
    Host.objects.filter(pk=pair.right.pk).update(state="active")
    with django_assert_num_queries(len(of_one)):
        assert len(outlook(left)) == 5
    assert len(of_one) <= 16
