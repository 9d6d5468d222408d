"""Sessions: what ends them, who may, and that asking stays cheap however many there are."""

import itertools
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session as WebSession
from django.utils import timezone

from broker.access.actor import Actor
from broker.access.models import Grant
from broker.access.require import may
from broker.connections.actions import close_session, end_session, end_sessions_of
from broker.connections.models import ConsoleTicket, Session
from broker.connections.queries import live_at, must_end, visible_sessions
from broker.connections.reconcile import tidy
from broker.connections.rights import entitled
from broker.connections.states import EndReason
from broker.core.errors import Conflict, Denied, Missing
from broker.directories.models import User
from broker.events.models import Event
from broker.gateway.closing import BY_CODE, BY_NAME
from broker.virt.models import VirtualMachine

from .conftest import GATEWAY, make_vm, sign_in

pytestmark = pytest.mark.django_db


def test_every_reason_has_a_close_code_and_a_sentence():
    for reason in EndReason:
        assert BY_NAME[reason].text
    assert len(BY_CODE) == len(BY_NAME)
    assert all(len(name.encode()) <= 123 for name in BY_NAME)


def test_a_session_that_is_fine_goes_on_and_is_marked_as_seen(setting):
    session = setting.open()
    Session.objects.update(last_seen_at=timezone.now() - timedelta(seconds=40))
    assert must_end({session.pk: setting.key}) == {}
    session.refresh_from_db()
    assert timezone.now() - session.last_seen_at < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: WebSession.objects.filter(session_key=s.key).delete(), "signed-out"),
        (lambda s: WebSession.objects.update(expire_date=timezone.now()), "signed-out"),
        (lambda s: User.objects.filter(username="alice").update(password="x"), "signed-out"),
        (lambda s: User.objects.filter(username="alice").update(is_active=False), "disabled"),
        (lambda s: Grant.objects.filter(user=s.world.alice).delete(), "right-lost"),
        (lambda s: VirtualMachine.objects.update(boot_id="x"), "rebooted"),
        (lambda s: VirtualMachine.objects.update(power_state="off"), "stopped"),
        (lambda s: VirtualMachine.objects.update(state="deleting"), "stopped"),
        (lambda s: end_sessions_of(actor=Actor.system("pools"), vm=s.vm.pk), "taken-back"),
        (lambda s: Session.objects.all().delete(), "stopped"),
    ],
    ids=["signed out", "sign-in expired", "password changed", "disabled", "right lost", "rebooted", "off", "deleting",
         "taken back", "row gone"],
)  # fmt: skip
def test_what_ends_a_console(setting, change, reason):
    """S10."""
    session = setting.open()
    change(setting)
    assert must_end({session.pk: setting.key}) == {session.pk: EndReason(reason)}


def test_closing_writes_once_and_keeps_the_given_reason(setting):
    session = setting.open()
    end_session(actor=setting.actor(), session=session)
    assert close_session(actor=GATEWAY, session=session.pk, reason="finished", bytes_up=7, bytes_down=9)
    assert not close_session(actor=GATEWAY, session=session.pk, reason="lost")
    session.refresh_from_db()
    assert (session.state, session.close_reason, session.bytes_up, session.bytes_down) == ("closed", "ended", 7, 9)
    assert session.closed_at is not None
    assert Event.objects.filter(kind="session.closed").count() == 1


def test_who_may_end_a_session(setting):
    session = setting.open()
    with pytest.raises(Missing):
        end_session(actor=setting.actor("charlie"), session=session)
    setting.world.grant(setting.world.charlie, "vm-user", setting.vm)
    with pytest.raises(Denied):
        end_session(actor=setting.actor("charlie"), session=session)
    end_session(actor=setting.actor("root"), session=session)
    with pytest.raises(Conflict):
        end_session(actor=setting.actor(), session=session)
    with pytest.raises(Denied):
        end_sessions_of(actor=setting.actor(), vm=setting.vm.pk)
    with pytest.raises(Denied):
        close_session(actor=setting.actor(), session=session.pk, reason="finished")


def test_who_sees_which_sessions(setting):
    session = setting.open()
    assert list(visible_sessions(setting.actor())) == [session]
    assert list(visible_sessions(setting.actor("root"))) == [session]
    assert list(visible_sessions(setting.actor("charlie"))) == []
    assert list(live_at(setting.vm)) == [session]


def test_sessions_of_a_dead_gateway_are_closed_and_old_tickets_forgotten(setting):
    """F34, F36."""
    dead, alive = setting.open(), setting.open()
    Session.objects.filter(pk=dead.pk).update(last_seen_at=timezone.now() - timedelta(seconds=46))
    waiting = setting.ticket()
    setting.ticket()
    ConsoleTicket.objects.filter(used_at__isnull=True).exclude(
        pk=ConsoleTicket.objects.order_by("created_at", "tick").filter(used_at__isnull=True).first().pk
    ).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert tidy() == 1
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, dead.close_reason, alive.state) == ("closed", "gone", "open")
    assert ConsoleTicket.objects.count() == 3
    setting.redeem(waiting)
    assert must_end({dead.pk: setting.key}) == {dead.pk: EndReason.GONE}, "a gateway that was only frozen is told"
    assert tidy() == 0


def test_asking_costs_the_same_for_one_session_and_for_a_hundred(setting, django_assert_max_num_queries):
    running = {setting.open().pk: setting.key}
    with django_assert_max_num_queries(10) as few:
        must_end(running)
    people = [User(directory=setting.world.directory, username=f"u{n}") for n in range(20)]
    for person in people:
        person.set_unusable_password()
    User.objects.bulk_create(people)
    for number in range(100):
        person = people[number % 20]
        vm = make_vm(setting.world, f"v{number}")
        setting.world.grant(person, "vm-user", vm)
        running[Session.objects.create(user=person, vm=vm, gateway="g", boot_id=vm.boot_id).pk] = sign_in(person)
    with django_assert_max_num_queries(len(few)):
        assert must_end(running) == {}


def test_the_bulk_answer_is_the_same_as_that_of_may(setting):
    world = setting.world
    machines = [setting.vm, make_vm(world, "other")]
    world.grant(world.staff, "operator", world.cluster)
    world.grant(world.charlie, "viewer", machines[1])
    lazy = User.objects.create(directory=world.directory, username="lazy", is_active=False)
    world.grant(lazy, "admin")
    people = [world.alice, world.bob, world.charlie, world.root, lazy]
    pairs = list(itertools.product(people, machines))
    expected = {(u.pk, v.pk) for u, v in pairs if may(Actor.for_user(u), "vm.use", v)}
    assert entitled((u, v.pk) for u, v in pairs) == expected
    assert (world.alice.pk, setting.vm.pk) in expected
    assert (world.bob.pk, machines[1].pk) in expected
    assert not any(user == lazy.pk for user, _ in expected)
