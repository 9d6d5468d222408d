"""Hosts switched off and on by need, over simulated hosts: the cycle, what keeps a host on, and what goes wrong."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access.actions.cancel_job import cancel_job
from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt import hosts, power_saving, queries, specs
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_fence_device import delete_fence_device
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_host import edit_host
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.actions.fence_host import fence_host
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.wake_host import wake_host
from broker.virt.driver import PowerState
from broker.virt.host_status import status_of, with_status
from broker.virt.models import (
    AffinityGroup,
    ForeignMachine,
    Host,
    HostHealth,
    Recovery,
    StorageDomain,
    Verdict,
    VirtualMachine,
)
from broker.virt.power_facts import holding, powers_of
from tests.virt.actions.stage import SYSTEM, fresh
from tests.virt.power import installed


@pytest.fixture
def pair(db, settings, monkeypatch):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return installed(monkeypatch)


def asleep(pair):
    """The cycle's first half: a machine runs on the left, the right one has been empty for long."""
    vm = pair.make("desk-1", start=True)
    other = "right" if vm.host.name == "left" else "left"
    pair.empty_for(20, other)
    pair.work()
    assert pair.state(other) == "asleep", Job.objects.filter(plan="host.sleep").values("state", "error")
    return fresh(vm), Host.objects.get(name=other)


def kinds(host) -> list[str]:
    return list(Event.objects.filter(subject_id=host.pk).order_by("pk").values_list("kind", flat=True))


def later(**time) -> None:
    back = clock.now() - timedelta(**time)
    Job.objects.filter(finished_at__isnull=False).update(finished_at=back, created_at=back)


def test_an_empty_host_is_switched_off_and_alarms_nobody(pair):
    _, host = asleep(pair)
    assert pair.orders == [(host.name, "off")] and not pair.on[host.name]
    host.refresh_from_db()
    assert host.error and not host.trouble and host.asleep_at
    assert status_of(with_status(Host.objects.filter(pk=host.pk)).get()) == "asleep"
    before = Event.objects.count()
    HostHealth.objects.filter(host=host).update(silent_since=clock.now() - timedelta(hours=2))
    pair.work(3)
    assert Event.objects.count() == before
    assert not Verdict.objects.filter(host=host).exclude(decision="alive").exists()
    assert not Event.objects.filter(severity__in=("warning", "error")).exists()
    assert not Job.objects.filter(plan__in=("host.ask", "host.fence")).exists()


def test_a_machine_without_room_wakes_it_and_runs_there(pair):
    first, host = asleep(pair)
    apart = AffinityGroup.objects.create(
        cluster=host.cluster, name="apart", machine_rule="apart", machine_hard=True
    )  # fmt: skip
    job = create_vm(
        actor=SYSTEM, name="desk-2", version=pair.world.version, network=pair.world.network, start=True
    )  # fmt: skip
    second = VirtualMachine.objects.get(pk=job.subject_id)
    apart.machines.add(first, second)
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting" and "one is being woken" in job.message
    pair.work(12)
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    assert fresh(second).host == host and fresh(second).power_state == PowerState.RUNNING
    assert pair.state(host.name) == "active" and pair.orders[-1] == (host.name, "on")
    assert kinds(host).count("host.woke") == 1


def test_the_next_one_that_waits_is_told_how_long_it_takes(pair):
    _, host = asleep(pair)
    job = wake_host(actor=SYSTEM, host=host)
    pair.work(4, duty_too=False)
    job.refresh_from_db()
    assert job.state == "succeeded"
    Job.objects.filter(pk=job.pk).update(created_at=job.finished_at - timedelta(seconds=83))
    pair.empty_for(20, host.name)
    pair.work()
    assert pair.state(host.name) == "asleep"
    Host.objects.exclude(pk=host.pk).update(state="maintenance")
    start = create_vm(actor=SYSTEM, name="desk-2", version=pair.world.version, network=pair.world.network)
    Runner().run(start.pk)
    start.refresh_from_db()
    assert start.message_params == {"seconds": "83"}


def test_machines_that_are_off_are_said_to_be_elsewhere(pair):
    """They can be started and deleted while the host sleeps, and the host has no copy of them when it is back."""
    vm = pair.make("desk-1", start=True)
    other = Host.objects.exclude(pk=vm.host_id).get()
    Host.objects.filter(pk=vm.host_id).update(state="maintenance")
    off, gone = pair.make("off-1"), pair.make("off-2")
    assert {off.host, gone.host} == {other}
    Host.objects.filter(pk=vm.host_id).update(state="active")
    pair.empty_for(20, other.name)
    pair.work()
    assert pair.state(other.name) == "asleep", Job.objects.filter(plan="host.sleep").values("error")
    assert {fresh(off).host_id, fresh(gone).host_id} == {vm.host_id}
    start_vm(actor=SYSTEM, vm=fresh(off))
    delete_vm(actor=SYSTEM, vm=fresh(gone))
    pair.work(4, duty_too=False)
    assert fresh(off).power_state == PowerState.RUNNING and fresh(off).host_id == vm.host_id
    assert not VirtualMachine.objects.filter(pk=gone.pk).exists()
    assert not Event.objects.filter(kind__startswith="vm.changed-outside").exists()
    wake_host(actor=SYSTEM, host=Host.objects.get(pk=other.pk))
    pair.work(4, duty_too=False)
    assert [pair.power(other, one) for one in (off, gone)] == [PowerState.MISSING] * 2
    assert not ForeignMachine.objects.exists()


def held(pair, host) -> str:
    return holding(host.cluster_id).get(host.pk, "")


@pytest.mark.parametrize(
    ("why", "word"),
    [
        ("autostart", "bound"), ("tpm", "bound"), ("uefi", "bound"), ("local", "storage of its own"),
        ("suspended", "saved"), ("foreign", "not Berth's"), ("job", "on the way|comes"), ("moving", "comes"),
        ("host job", "at work"), ("storage job", "work on storage"), ("recovery", "restarted"),
    ],
)  # fmt: skip
def test_what_keeps_a_host_on(pair, why, word):
    vm = pair.make("desk-1", start=True)
    host = Host.objects.exclude(pk=vm.host_id).get()
    off = VirtualMachine.objects.create(cluster=host.cluster, name="off", state="ready", power_state="off", host=host)
    assert held(pair, host) == ""
    mine = VirtualMachine.objects.filter(pk=off.pk)
    if why == "autostart":
        mine.update(autostart=True)
    elif why in ("tpm", "uefi"):
        mine.update(options={"tpm": True} if why == "tpm" else {"firmware": "uefi"})
    elif why == "local":
        StorageDomain.objects.create(cluster=host.cluster, name="own", path="/own", host=host)
    elif why == "suspended":
        mine.update(power_state="suspended")
    elif why == "foreign":
        ForeignMachine.objects.create(host=host, uuid=off.pk, name="x", power_state="running", observed_at=clock.now())
    elif why == "job":
        Job.objects.create(plan="vm.start", title="x", subject_kind="vm", subject_id=off.pk, state="queued")
    elif why == "moving":
        VirtualMachine.objects.filter(pk=vm.pk).update(moving_to=host)
    elif why == "host job":
        Job.objects.create(plan="host.ask", title="x", subject_kind="host", subject_id=host.pk, state="queued")
    elif why == "storage job":
        kind, pk = "storage", pair.world.storage.pk
        Job.objects.create(plan="storage.tidy", title="x", subject_kind=kind, subject_id=pk, state="queued")
    else:
        Recovery.objects.create(vm=off, host=vm.host, target=host, epoch=1)
    assert any(part in held(pair, host) for part in word.split("|"))
    pair.empty_for(20, host.name)
    assert power_saving.run() == 0
    if why != "host job":  # what was decided a moment ago is asked again under the lock
        job = enqueue("host.sleep", actor=SYSTEM, subject=host)
        Runner().run(job.pk)
        job.refresh_from_db()
        assert job.state == "cancelled" and "host.stays-on" in kinds(host)
    assert pair.state(host.name) == "active" and not pair.orders


def test_a_machine_started_between_ends_the_job_and_the_host_serves(pair, monkeypatch):
    vm = pair.make("desk-1", start=True)
    host = Host.objects.exclude(pk=vm.host_id).get()
    off = VirtualMachine.objects.create(cluster=host.cluster, name="off", state="ready", power_state="off", host=host)
    job = enqueue("host.sleep", actor=SYSTEM, subject=host)
    started = Job.objects.create(plan="vm.start", title="x", subject_kind="vm", subject_id=off.pk, state="waiting")
    # It comes only after the host was left, when nobody looks at what holds it any more.
    monkeypatch.setattr("broker.virt.plans.host_sleep.holding", lambda *words, **more: {})
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting" and pair.state(host.name) == "asleep" and not pair.orders
    Job.objects.filter(pk=started.pk).update(state="succeeded")
    VirtualMachine.objects.filter(pk=off.pk).update(power_state="running")
    Job.objects.filter(pk=job.pk).update(next_run_at=clock.now())
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "cancelled" and "host.stays-on" in kinds(host)
    assert pair.state(host.name) == "active" and not pair.orders


def test_cancelled_before_its_power_was_cut(pair):
    vm = pair.make("desk-1", start=True)
    host = Host.objects.exclude(pk=vm.host_id).get()
    job = enqueue("host.sleep", actor=SYSTEM, subject=host)
    cancel_job(actor=SYSTEM, job=job)
    pair.work(2, duty_too=False)
    job.refresh_from_db()
    assert (job.state, pair.state(host.name), pair.orders) == ("cancelled", "active", [])


@pytest.mark.parametrize("way", ["deaf", "lies"])
def test_power_management_that_does_not_do_it(pair, way, monkeypatch):
    """Deaf: nothing happened, and the host serves. Lying: it has to answer first, and then it serves."""
    monkeypatch.setattr("broker.virt.plans.host_sleep.VERIFY_SECONDS", 0.0)
    vm = pair.make("desk-1", start=True)
    host = Host.objects.exclude(pk=vm.host_id).get()
    pair.ways[host.name] = way
    job = enqueue("host.sleep", actor=SYSTEM, subject=host)
    Runner().run(job.pk)
    if way == "deaf":
        Job.objects.filter(pk=job.pk).update(next_run_at=clock.now())
        job.steps.update(started_at=clock.now() - timedelta(minutes=5))
    pair.work(3, duty_too=False)
    job.refresh_from_db()
    assert job.state == "failed"
    if way == "lies":
        assert pair.state(host.name) == "asleep"
        Host.objects.filter(pk=host.pk).update(asleep_at=clock.now() - timedelta(minutes=2))
        pair.work(1)
    assert pair.state(host.name) == "active"
    assert not Job.objects.filter(plan="host.fence").exists()


def test_a_host_that_does_not_wake_is_told_of_once_and_is_left_alone(pair):
    _, host = asleep(pair)
    pair.ways[host.name] = "dead"
    pair.rules(hosts_in_reserve=1)
    pair.work(2)
    job = Job.objects.get(plan="host.wake")
    assert job.state == "waiting"
    back = (clock.now() - timedelta(minutes=11)).isoformat()
    Job.objects.filter(pk=job.pk).update(args=job.args | {"on": back})
    pair.work(5)
    job.refresh_from_db()
    assert job.state == "failed" and "10 minutes" in job.cause and job.fix
    assert Job.objects.filter(plan="host.wake").count() == 1
    assert [one.kind for one in Event.objects.filter(severity__in=("warning", "error"))] == ["job.failed"]
    assert pair.state(host.name) == "asleep"
    later(minutes=31)
    pair.work(1)
    assert Job.objects.filter(plan="host.wake").count() == 2


def test_a_highly_available_machine_that_finds_no_room_wakes_it(pair):
    vm, host = asleep(pair)
    VirtualMachine.objects.filter(pk=vm.pk).update(available=True, host=None, power_state="off")
    Host.objects.exclude(pk=host.pk).update(state="maintenance")
    Recovery.objects.create(vm=fresh(vm), host=Host.objects.exclude(pk=host.pk).get(), epoch=1, reason="no room")
    pair.work(1)
    assert Job.objects.filter(plan="host.wake", subject_id=host.pk).exists()
    assert "lost its host" in Event.objects.get(kind="host.wake-asked").params["why"]


def test_emptying_the_last_host_that_is_on_wakes_another(pair):
    vm, host = asleep(pair)
    job = evacuate_host(actor=SYSTEM, host=Host.objects.get(pk=vm.host_id))
    pair.work(16)
    job.refresh_from_db()
    assert job.state == "succeeded", job.cause
    assert pair.state(host.name) == "active" and fresh(vm).host == host


def test_a_machine_brought_by_hand_at_the_last_moment(pair, monkeypatch):
    """What libvirt itself says counts, too: the row knows nothing of it yet."""
    vm = pair.make("desk-1", start=True)
    host = Host.objects.exclude(pk=vm.host_id).get()
    job = enqueue("host.sleep", actor=SYSTEM, subject=host)
    brought = VirtualMachine(cluster=host.cluster, host=host, name="brought", memory_mib=16, vcpus=1)
    brought.save()
    line = hosts.connection(host)
    line.define(specs.machine_spec(queries.whole_machine(brought.pk)))
    line.start(str(brought.pk))
    brought.delete()
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "cancelled" and not pair.orders and pair.state(host.name) == "active"


def test_somebody_presses_its_button(pair):
    _, host = asleep(pair)
    pair.run(host.fence_devices.get(), "on")
    pair.work(1)
    assert pair.state(host.name) == "asleep"  # what is seen so soon may be from before
    Host.objects.filter(pk=host.pk).update(asleep_at=clock.now() - timedelta(minutes=2))
    pair.work(1)
    assert pair.state(host.name) == "active" and "host.woke-by-itself" in kinds(host)


def test_switching_the_setting_off_wakes_all(pair):
    _, host = asleep(pair)
    pair.rules(host_power_management=False)
    pair.work(4)
    assert pair.state(host.name) == "active"


def test_after_waking_it_stays_on_for_a_while(pair):
    _, host = asleep(pair)
    wake_host(actor=SYSTEM, host=host)
    pair.work(4)
    assert pair.state(host.name) == "active"
    assert powers_of(host.cluster)[host.pk].empty_for < 60
    pair.work(2)
    assert Job.objects.filter(plan="host.sleep").count() == 1


def test_what_an_administrator_may_do_to_a_sleeping_host(pair):
    _, host = asleep(pair)
    with pytest.raises(Conflict, match="switched off to save power"):
        fence_host(actor=SYSTEM, host=host)
    with pytest.raises(Conflict, match="woken by this fence device"):
        delete_fence_device(actor=SYSTEM, device=host.fence_devices.get())
    with pytest.raises(Conflict, match="switched off to save power"):
        edit_host(actor=SYSTEM, host=host, may_sleep=False)
    job = wake_host(actor=SYSTEM, host=host)
    with pytest.raises(Conflict, match="being switched"):
        maintain_host(actor=SYSTEM, host=Host.objects.get(pk=host.pk))
    Job.objects.filter(pk=job.pk).update(state="failed")
    maintain_host(actor=SYSTEM, host=host)
    pair.work(2)
    assert pair.state(host.name) == "maintenance"
    with pytest.raises(Conflict, match="does not sleep"):
        wake_host(actor=SYSTEM, host=host)


def test_only_with_a_fence_device(pair):
    host = pair.left
    delete_fence_device(actor=SYSTEM, device=host.fence_devices.get())
    host.refresh_from_db()
    assert not host.may_sleep
    with pytest.raises(Invalid, match="fence device"):
        edit_host(actor=SYSTEM, host=host, may_sleep=True)


def test_the_same_queries_however_many_hosts(pair):
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            powers_of(pair.world.cluster)
        return len(queries)

    before = count()
    for number in range(20):
        Host.objects.create(cluster=pair.world.cluster, name=f"h-{number}", driver="simulated", uri=f"sim://h-{number}",
                            may_sleep=True)  # fmt: skip
    assert count() == before
