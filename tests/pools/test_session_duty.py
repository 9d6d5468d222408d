"""The duty that carries out session rules, over rows and the simulated hypervisor."""

from datetime import timedelta

import pytest

from broker.connections.models import Session
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid, Missing, OverQuota
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from pools import bulk, guest_work, session_duty
from pools.actions.extend_session import extend_session
from pools.actions.set_session_rules import set_session_rules
from pools.models import Desktop, Pool, SessionRules, Sitting
from pools.session_sentence import sentence

from .conftest import SYSTEM, free_rows

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.fixture
def orders(monkeypatch):
    """What would be sent to workers."""
    sent = []
    monkeypatch.setattr(session_duty, "order", lambda desktop_id, step: sent.append((desktop_id, step)))
    return sent


@pytest.fixture
def seat(world):
    """A desktop that Alice holds since an hour."""
    pool = Pool.objects.create(
        name="desk", title="Desk", cluster=world.cluster, template=world.template, storage=world.storage, size=2
    )
    world.grant(world.alice, "pool-user", pool)
    free_rows(pool, world, 2)
    desktop = Desktop.objects.filter(pool=pool).order_by("number").first()
    Desktop.objects.filter(pk=desktop.pk).update(
        state="assigned", holder=world.alice, held_since=clock.now() - timedelta(hours=1)
    )
    return Desktop.objects.get(pk=desktop.pk)


def rules(desktop: Desktop, **values) -> SessionRules:
    return set_session_rules(actor=SYSTEM, pool=desktop.pool, **values)


def screen(desktop: Desktop, *, opened: float, closed: float | None = None, typed: float | None = None) -> Session:
    """A screen of Alice's, with times in seconds ago."""

    def ago(seconds: float | None):
        return None if seconds is None else clock.now() - timedelta(seconds=seconds)

    return Session.objects.create(
        user=desktop.holder, vm=desktop.vm, gateway="g1", opened_at=ago(opened), last_input_at=ago(typed),
        closed_at=ago(closed), state="open" if closed is None else "closed",
    )  # fmt: skip


def state(desktop: Desktop) -> str:
    return Desktop.objects.get(pk=desktop.pk).state


def test_without_rules_or_before_the_first_screen_nothing_happens(seat):
    assert session_duty.run() == 0
    rules(seat, leave="give-back", leave_after=0)
    assert session_duty.run() == 0
    assert state(seat) == "assigned"


def test_it_goes_back_when_its_user_has_left_long_enough(seat):
    rules(seat, leave="give-back", leave_after=60)
    screen(seat, opened=600, closed=30)
    assert session_duty.run() == 0
    Session.objects.update(closed_at=clock.now() - timedelta(seconds=61))
    Sitting.objects.all().delete()
    assert session_duty.run() == 1
    assert state(seat) != "assigned"
    told = Event.objects.filter(kind="session.rule").get()
    assert "its user left" in told.message
    assert session_duty.run() == 0
    assert not Sitting.objects.exists()


def test_who_came_back_keeps_it(seat):
    rules(seat, leave="give-back", leave_after=60)
    screen(seat, opened=900, closed=300)
    screen(seat, opened=5)
    assert session_duty.run() == 0
    assert state(seat) == "assigned"


def test_somebody_elses_look_is_no_sitting_of_the_holder(seat, world):
    rules(seat, leave="give-back", leave_after=60)
    screen(seat, opened=900, closed=300)
    Session.objects.create(user=world.root, vm=seat.vm, gateway="g1", purpose="look")
    assert session_duty.run() == 1


def test_what_an_earlier_holder_did_counts_for_nobody_else(seat, world):
    rules(seat, leave="give-back", leave_after=60)
    screen(seat, opened=3000, closed=2000)
    Desktop.objects.filter(pk=seat.pk).update(held_since=clock.now() - timedelta(seconds=100))
    assert session_duty.run() == 0


def test_a_silent_keyboard_closes_the_screen_once(seat):
    rules(seat, idle="disconnect", idle_after=60)
    session = screen(seat, opened=600, typed=120)
    assert session_duty.run() == 1
    session.refresh_from_db()
    assert (session.state, session.close_reason) == ("ending", "idle")
    assert session_duty.run() == 0


def test_the_longest_session_ends_is_warned_of_and_put_off_once(seat, world):
    rules(seat, longest=600, longest_do="disconnect", warn_before=120, extension=300, extensions=1)
    session = screen(seat, opened=500, typed=1)
    session_duty.run()
    with pytest.raises((Denied, Missing)):
        extend_session(actor=world.actor("bob"), desktop=Desktop.objects.get(pk=seat.pk))
    extend_session(actor=world.actor("alice"), desktop=Desktop.objects.get(pk=seat.pk))
    with pytest.raises(Conflict):
        extend_session(actor=world.actor("alice"), desktop=Desktop.objects.get(pk=seat.pk))
    back = clock.now() - timedelta(seconds=800)
    Session.objects.update(opened_at=back)
    Sitting.objects.update(began_at=back)
    with pytest.raises(OverQuota):
        extend_session(actor=world.actor("alice"), desktop=Desktop.objects.get(pk=seat.pk))
    assert session_duty.run() == 0
    Sitting.objects.update(began_at=back - timedelta(seconds=200))
    assert session_duty.run() == 1
    session.refresh_from_db()
    assert session.close_reason == "time-limit"
    assert Event.objects.filter(kind="session.extended").count() == 1


def test_logging_off_in_the_guest_is_noticed_and_a_reboot_is_not_taken_for_it(seat):
    rules(seat, logoff="shut-down", logoff_after=0)

    def guest(users, boot="b1"):
        VirtualMachine.objects.filter(pk=seat.pk).update(
            guest={"agent": True, "users": users}, boot_id=boot, guest_at=clock.now(), power_state="running"
        )

    guest(["alice"])
    assert session_duty.run() == 0
    guest([], boot="b2")
    screen(seat, opened=100)
    assert session_duty.run() == 0, "it was started anew; nobody logged off"
    guest(["alice"], boot="b2")
    session_duty.run()
    guest([], boot="b2")
    assert session_duty.run() == 1
    assert Job.objects.filter(plan="vm.shutdown", subject_id=seat.pk).exists()
    assert Event.objects.filter(kind="session.logged-off").count() == 1


def test_a_guest_that_cannot_be_locked_is_told_with_what_comes_next(seat, orders):
    rules(seat, leave="lock", leave_after=0, then="give-back", then_after=HOUR)
    screen(seat, opened=600, closed=10)
    VirtualMachine.objects.filter(pk=seat.pk).update(guest={"agent": True, "os_name": "Windows 11"})
    assert session_duty.run() == 1
    assert orders == [(seat.pk, "leave")]
    guest_work.carry_out(seat.pk, "leave")
    told = Event.objects.get(kind="session.rule-failed")
    assert "could not be locked" in told.message and "Windows 11" in told.message and "given back" in told.message
    assert "trouble" in Sitting.objects.get().acts["leave"]
    guest_work.carry_out(seat.pk, "leave")
    assert Event.objects.filter(kind="session.rule-failed").count() == 1, "sent twice, done once"


def test_an_order_that_got_lost_is_given_again_and_given_up(seat, orders):
    rules(seat, leave="lock", leave_after=0)
    screen(seat, opened=600, closed=10)
    session_duty.run()
    for _round in range(session_duty.MOST_ORDERS + 1):
        sitting = Sitting.objects.get()
        sitting.acts["leave"]["at"] = (clock.now() - timedelta(minutes=2)).isoformat()
        sitting.save()
        session_duty.run()
    assert len(orders) == session_duty.MOST_ORDERS
    assert Sitting.objects.get().acts["leave"]["trouble"]


def test_the_number_of_queries_does_not_grow(seat, world, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    rules(seat, leave="give-back", leave_after=HOUR)
    other = Desktop.objects.filter(pool=seat.pool, state="free").get()
    screen(seat, opened=600, closed=5)
    session_duty.run()
    with CaptureQueriesContext(
        connection,
    ) as one:
        session_duty.run()
    Desktop.objects.filter(pk=other.pk).update(
        state="assigned", holder=world.bob, held_since=clock.now() - timedelta(hours=1)
    )
    other.refresh_from_db()
    screen(other, opened=600, closed=5)
    session_duty.run()
    with CaptureQueriesContext(connection) as two:
        session_duty.run()
    assert len(two) == len(one)


def test_who_may_set_rules_and_what_is_refused(seat, world):
    with pytest.raises(Denied):
        set_session_rules(actor=world.actor("alice"), pool=seat.pool, leave="lock")
    with pytest.raises(Missing):
        set_session_rules(actor=world.actor("charlie"), pool=seat.pool, leave="lock")
    for wrong in (
        {"leave": "explode"},
        {"leave_after": -1},
        {"leave_after": True},
        {"nonsense": 1},
        {"kept": "x" * 200},
        {"longest": 60, "warn_before": 120},
        {"leave": "shut-down", "then": "lock"},
        {"leave": "lock", "leave_after": 60, "then": "give-back", "then_after": 30},
        {"longest_do": "nothing"},
    ):
        with pytest.raises(Invalid):
            set_session_rules(actor=world.actor("root"), pool=seat.pool, **wrong)
    Pool.objects.filter(pk=seat.pool_id).update(kind="manual")
    with pytest.raises(Invalid):
        set_session_rules(actor=world.actor("root"), pool=Pool.objects.get(), leave="give-back")
    assert not SessionRules.objects.exists()


def test_the_rules_are_one_sentence(seat):
    assert sentence(Pool.objects.get()) == "Stays as you leave it; nothing happens by itself."
    rules(
        seat, idle="lock", idle_after=600, leave="lock", then="give-back", then_after=1800, longest=8 * HOUR,
        kept="your files in D:",
    )  # fmt: skip
    assert sentence(Pool.objects.select_related("session_rules").get()) == (
        "Locks as soon as you leave, goes back to the pool 30 minutes after you leave, locks after 10 minutes without"
        " a key or a click, closes the screen when a session has lasted 8 hours, which you can put off by 30 minutes"
        " once; your files in D: are kept."
    )


def test_a_group_is_done_one_by_one(seat, world):
    other = Desktop.objects.filter(pool=seat.pool, state="free").get()
    screen(seat, opened=100)
    outcomes = bulk.act(actor=world.actor("root"), verb="message", machines=[seat.pk, other.pk], text="Save your work")
    assert [one.error is None for one in outcomes] == [True, False]
    outcomes = bulk.act(actor=world.actor("root"), verb="give-back", machines=[seat.pk, other.pk, seat.pk])
    assert [(one.id, one.error is None) for one in outcomes] == [(seat.pk, True), (other.pk, False)]
    assert state(seat) != "assigned"
    refused = bulk.act(actor=world.actor("alice"), verb="restart", machines=[other.pk])
    assert isinstance(refused[0].error, Missing)
    for wrong in ({"verb": "explode", "machines": [seat.pk]}, {"verb": "restart", "machines": []}):
        with pytest.raises(Invalid):
            bulk.act(actor=world.actor("root"), **wrong)
