"""Machines that start with their host: which, in which order, how many at once, and never twice."""

from dataclasses import fields
from datetime import timedelta

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import autostart, observe
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import HostFacts, Refused
from broker.virt.models import Host, HostHealth, VirtualMachine
from broker.virt.monitor import facts
from pools.models import Desktop, Pool
from tests.jobs_help import run_all
from tests.virt.actions.conftest import stage as stage
from tests.virt.actions.stage import SYSTEM, ended, fresh

_KNOWN = {one.name for one in fields(HostFacts)}


def told(ticked: int) -> HostFacts:
    """What a host says of itself, its processors having spent so many seconds since it was started."""
    words = {
        "uuid": "u", "hostname": "h", "hypervisor": "", "manager": "", "cpus": 8, "cpu_model": "", "memory": 1 << 36,
        "memory_free": 1 << 36, "emulated": False, "ticked_seconds": ticked,
    }  # fmt: skip
    return HostFacts(**{name: value for name, value in words.items() if name in _KNOWN})


@pytest.fixture
def host(stage):
    """A host that has been up for long."""
    facts.write(stage.world.host, told(90_000))
    return stage.world.host


def look(stage) -> None:
    """A whole pass over the host, now."""
    asked = clock.now()
    observe.apply(Host.objects.get(pk=stage.world.host.pk), stage.line.observe(), full_pass=True, at=asked)


def reboot(stage, *, seen: bool = True) -> None:
    """The power fails and comes back; `seen`: the monitor has looked at the machines since."""
    with stage.sim.changing() as data:
        for machine in data["machines"].values():
            machine.update(power="off", reason="unknown")
    facts.write(stage.world.host, told(30))
    if seen:
        look(stage)


def starts() -> list[str]:
    """The machines for which a start was asked by the duty, in order of asking."""
    jobs = Job.objects.filter(plan="vm.start", actor_name=autostart.DUTY.name).order_by("created_at")
    return list(jobs.values_list("subject_name", flat=True))


def kinds(*wanted: str) -> list[str]:
    rows = Event.objects.filter(kind__in=wanted).order_by("pk")
    return [f"{row.kind} {row.subject_name}" for row in rows]


def wish(vm, **values) -> VirtualMachine:
    return edit_vm(actor=SYSTEM, vm=vm, autostart=True, **values)


def running(stage) -> set[str]:
    return {name for name, power in stage.machines().items() if power == "running"}


def test_after_a_reboot_those_that_are_to_start_do_also_when_they_were_off(stage, host):
    ran, off, other = stage.make("ran", start=True), stage.make("off"), stage.make("other", start=True)
    assert running(stage) == {"ran", "other"}
    wish(ran), wish(off)
    autostart.run()
    assert starts() == [], "nothing is due before the host was rebooted"
    reboot(stage)
    for _ in range(3):
        autostart.run()
        run_all()
    assert sorted(starts()) == ["off", "ran"] and running(stage) == {"ran", "off"}
    assert fresh(other).power_state in ("off", "crashed") and fresh(ran).host_id == host.pk
    assert sorted(kinds("vm.autostart")) == ["vm.autostart off", "vm.autostart ran"]
    assert not VirtualMachine.objects.filter(start_due__isnull=False).exists()
    reboot(stage)
    autostart.run()
    assert len(starts()) == 2, "the same spent time is no second reboot"


def test_a_second_reboot_starts_them_again(stage, host):
    wish(stage.make("one", start=True))
    for count in (1, 2):
        facts.write(host, told(90_000))
        reboot(stage)
        autostart.run()
        run_all()
        look(stage)
        assert len(starts()) == count and running(stage) == {"one"}


def test_nothing_is_decided_by_what_was_seen_before_the_reboot(stage, host):
    vm = wish(stage.make("one", start=True))
    reboot(stage, seen=False)
    autostart.run()
    assert fresh(vm).power_state == "running" and fresh(vm).start_due, "the row is of before"
    look(stage)
    autostart.run()
    assert starts() == ["one"]


def test_what_runs_already_is_left_alone_and_forgotten(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    start_vm(actor=SYSTEM, vm=fresh(vm))
    autostart.run()
    assert starts() == [] and fresh(vm).start_due, "a job is at work on it"
    run_all()
    look(stage)
    autostart.run()
    assert starts() == [] and fresh(vm).start_due is None


def test_a_pass_that_is_not_written_yet_takes_nothing_off_the_list(stage, host):
    """The host's row says that it was looked at before its machines' rows say what was seen."""
    vm = wish(stage.make("one", start=True))
    reboot(stage, seen=False)
    Host.objects.update(observed_at=clock.now())
    autostart.run()
    assert fresh(vm).power_state == "running" and fresh(vm).start_due
    look(stage)
    autostart.run()
    assert starts() == ["one"]


def test_what_never_stopped_is_forgotten_after_a_while(stage, host):
    vm = wish(stage.make("one", start=True))
    facts.write(host, told(30))
    look(stage)
    autostart.run()
    assert fresh(vm).start_due
    Host.objects.update(observed_at=clock.now() + timedelta(seconds=61))
    autostart.run()
    assert starts() == [] and fresh(vm).start_due is None


def test_two_duties_ask_once(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    seen_by_both = VirtualMachine.objects.get(pk=vm.pk)
    autostart.run()
    run_all()
    autostart._start(seen_by_both)
    assert starts() == ["one"] and kinds("vm.autostart") == ["vm.autostart one"]


def test_highly_available_machines_and_desktops_go_by_their_own_rules(stage, host):
    vm, desk = wish(stage.make("one")), stage.make("desk")
    edit_vm(actor=SYSTEM, vm=vm, available=True)
    pool = Pool.objects.create(name="p", title="P", template=stage.world.template, cluster=stage.world.cluster)
    Desktop.objects.create(vm=desk, pool=pool, number=1)
    with pytest.raises(Conflict) as caught:
        wish(desk)
    assert caught.value.rule == "vm.autostart"
    VirtualMachine.objects.filter(pk=desk.pk).update(autostart=True)
    reboot(stage)
    autostart.run()
    assert starts() == []


def test_whoever_takes_the_wish_back_meanwhile_is_heard(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    edit_vm(actor=SYSTEM, vm=fresh(vm), autostart=False)
    autostart.run()
    assert starts() == [] and fresh(vm).start_due is None


def test_a_host_that_does_not_answer_or_is_in_maintenance_or_lost_is_waited_for(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    Host.objects.update(error="no answer")
    autostart.run()
    Host.objects.update(error="")
    maintain_host(actor=SYSTEM, host=Host.objects.get(pk=host.pk))
    autostart.run()
    Host.objects.update(state="active")
    health = HostHealth.objects.create(host=host, lost_at=clock.now(), epoch=1)
    autostart.run()
    assert starts() == [] and fresh(vm).start_due
    health.delete()
    autostart.run()
    assert starts() == ["one"]


def test_by_order_with_delays_and_a_failure_stops_nobody(stage, host):
    first, second = stage.make("b-first"), stage.make("a-second")
    broken, last = stage.make("broken"), stage.make("last")
    wish(first, autostart_order=1, autostart_delay=600)
    wish(broken, autostart_order=1, autostart_delay=600)
    wish(second, autostart_order=2), wish(last, autostart_order=3)
    reboot(stage)
    VirtualMachine.objects.filter(pk=broken.pk).update(state="broken")
    autostart.run()
    assert starts() == ["b-first"]
    autostart.run()
    assert starts() == ["b-first"], "its start is under way"
    run_all()
    autostart.run()
    assert starts() == ["b-first"], "its delay is not over"
    Job.objects.filter(subject_name="b-first", plan="vm.start").update(finished_at=clock.now() - timedelta(seconds=601))
    stage.sim.fail_next("start", Refused("It cannot.", fix="Mend it."))
    autostart.run()
    assert starts() == ["b-first", "a-second"]
    autostart.run()
    assert len(starts()) == 2
    run_all()
    assert Job.objects.get(subject_name="a-second", plan="vm.start").state == "failed"
    autostart.run()
    assert starts() == ["b-first", "a-second", "last"]
    run_all()
    assert running(stage) == {"b-first", "last"}


def later(vm) -> None:
    """The time of its next try has come, and its host was looked at since."""
    due = clock.now() - timedelta(seconds=1)
    assert VirtualMachine.objects.filter(pk=vm.pk, start_due__gt=clock.now()).update(start_due=due)
    Host.objects.update(observed_at=clock.now())


def test_a_refused_start_is_tried_again_then_told_and_the_others_go_on(stage, host, monkeypatch):
    bad = wish(stage.make("a-bad"))
    wish(stage.make("good"))
    reboot(stage)

    def refuse(*, actor, vm, untold):
        if vm.name == "a-bad":
            raise Conflict("Its device is gone.", rule="device.startable", fix="Give it another.")
        return start_vm(actor=actor, vm=vm, untold=untold)

    monkeypatch.setattr(autostart, "start_vm", refuse)
    for seconds in autostart.AGAIN_AFTER:
        asked = clock.now()
        for _ in range(2):
            autostart.run()
        assert kinds("vm.autostart-refused") == [] and starts() == ["good"]
        waits = fresh(bad).start_due - asked
        assert timedelta(seconds=seconds) <= waits < timedelta(seconds=seconds + 10), "not before its time"
        later(bad)
    for _ in range(2):
        autostart.run()
    assert kinds("vm.autostart", "vm.autostart-refused") == ["vm.autostart good", "vm.autostart-refused a-bad"]
    event = Event.objects.get(kind="vm.autostart-refused")
    assert "Its device is gone." in str(event.message) and event.severity == "error"
    assert fresh(bad).start_due is None and fresh(bad).start_tries == 0


def test_a_start_that_failed_is_tried_again_and_heals_without_a_word(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    stage.sim.fail_next("start", Refused("Its storage is not there yet.", fix="Wait."))
    autostart.run()
    run_all()
    assert Job.objects.get(plan="vm.start").state == "failed"
    for _ in range(2):
        autostart.run()
    assert starts() == ["one"] and fresh(vm).start_tries == 1
    later(vm)
    autostart.run()
    run_all()
    autostart.run()
    assert starts() == ["one", "one"] and running(stage) == {"one"}
    assert not Event.objects.filter(severity="error").exists() and kinds("vm.autostart") == ["vm.autostart one"]
    assert (fresh(vm).start_job, fresh(vm).start_due, fresh(vm).start_tries) == (None, None, 0)


def test_one_that_never_starts_is_told_once_with_its_cause(stage, host):
    vm = wish(stage.make("one"))
    reboot(stage)
    for number in range(1 + len(autostart.AGAIN_AFTER)):
        stage.sim.fail_next("start", Refused("It cannot.", fix="Mend it."))
        autostart.run()
        run_all()
        autostart.run()
        if number < len(autostart.AGAIN_AFTER):
            later(vm)
    autostart.run()
    assert starts() == ["one"] * 4 and running(stage) == set() and fresh(vm).start_due is None
    (event,) = Event.objects.filter(severity="error")
    assert event.kind == "vm.autostart-refused" and "It cannot." in str(event.message)


@pytest.mark.parametrize("then", ["cancelled", "stopped"])
def test_whoever_takes_it_in_hand_keeps_it(stage, host, then):
    vm = wish(stage.make("one"))
    reboot(stage)
    if then == "cancelled":
        autostart.run()
        cancel_job(actor=SYSTEM, job=Job.objects.get(plan="vm.start"))
        run_all()
    else:
        stage.sim.fail_next("start", Refused("It cannot.", fix="Mend it."))
        autostart.run()
        run_all()
        autostart.run()
        start_vm(actor=SYSTEM, vm=fresh(vm))
        run_all()
        power_off_vm(actor=SYSTEM, vm=fresh(vm))
        run_all()
        later(vm)
    autostart.run()
    assert starts() == ["one"] and running(stage) == set()
    assert fresh(vm).start_due is None and fresh(vm).start_job is None


def test_no_more_at_once_than_the_host_bears(stage, host, settings):
    settings.STARTS_PER_HOST = 2
    for number in range(5):
        wish(stage.make(f"m{number}"))
    reboot(stage)
    for count in (2, 2, 4, 5):
        if count > 2:
            run_all()
        autostart.run()
        assert len(starts()) == count
    run_all()
    assert len(running(stage)) == 5


@pytest.mark.parametrize(("rebooted", "due"), [(None, True), (-60, True), (60, False)])
def test_a_host_that_was_proved_to_be_off_starts_them_when_it_is_back(stage, host, rebooted, due):
    """Unless its kernel has told of that already."""
    vm, lost = wish(stage.make("one")), clock.now()
    HostHealth.objects.create(host=host, lost_at=lost, epoch=1)
    Host.objects.update(rebooted_at=rebooted and lost + timedelta(seconds=rebooted))
    assert ended(enqueue("host.clean", actor=SYSTEM, subject=host)).state == "succeeded"
    assert bool(fresh(vm).start_due) is due


@pytest.mark.parametrize("bad", [{"autostart_order": 101}, {"autostart_order": -1}, {"autostart_delay": 3601},
                                 {"autostart_delay": True}, {"autostart_order": "1"}])  # fmt: skip
def test_orders_and_delays_are_bounded(stage, bad):
    with pytest.raises(Invalid) as caught:
        wish(stage.make("one"), **bad)
    assert caught.value.field == next(iter(bad))
