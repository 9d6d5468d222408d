"""The ticket contract: 256 bits, hash only, 30 s, once, and bound to everything it should be bound to."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session as WebSession
from django.core import serializers
from django.db import connection
from django.utils import timezone

from broker.access.actor import Actor
from broker.access.models import Grant
from broker.connections import secrets
from broker.connections.actions import TicketRefused, issue_ticket, redeem_ticket
from broker.connections.models import ConsoleTicket, Session
from broker.connections.rules import ASSUMED, SESSIONS_PER_USER, SESSIONS_PER_VM, TICKETS_WAITING, VOUCHED
from broker.core.errors import Conflict, Denied, Invalid, Missing, OverQuota
from broker.events.models import Event
from broker.gateway.admission import TICKET_PREFIX, Policy
from broker.virt.models import VirtualMachine

from .conftest import make_vm, sign_in

pytestmark = pytest.mark.django_db


def refusal(setting, secret: str, **options) -> str:
    with pytest.raises(TicketRefused) as info:
        setting.redeem(secret, **options)
    assert not Session.objects.live().exists()
    return str(info.value.reason)


def test_a_ticket_opens_a_session_with_a_target_from_the_server_and_an_event(setting):
    session, endpoint = setting.redeem(setting.ticket(view_only=True))
    assert endpoint.unix == "/run/desk-1/vnc.sock"
    assert session.view_only
    assert (session.user, session.vm, session.gateway) == (setting.world.alice, setting.vm, "g1")
    event = Event.objects.get(kind="session.opened")
    assert (event.actor, event.subject_id, event.address) == (setting.world.alice, setting.vm.pk, "192.0.2.1")


def test_only_the_hash_is_stored_and_the_secret_has_256_bits(setting):
    issued = issue_ticket(actor=setting.actor(), vm=setting.vm)
    stored = serializers.serialize("json", ConsoleTicket.objects.all())
    assert issued.secret not in stored
    assert setting.key not in stored
    assert secrets.fingerprint(issued.secret) in stored
    assert len(issued.secret) == 43
    assert issued.secret not in repr(issued)
    assert len({secrets.new_secret() for _ in range(1000)}) == 1000


def test_the_page_and_the_gateway_agree_on_how_a_ticket_travels(setting):
    issued = issue_ticket(actor=setting.actor(), vm=setting.vm)
    policy = Policy.of(["http://vdi.test"])
    headers = {"origin": ["http://vdi.test"], "cookie": [f"sessionid={setting.key}"],
               "sec-websocket-protocol": [", ".join(issued.subprotocols)]}  # fmt: skip
    presented = policy.admit("GET", "/console/ws", headers, "192.0.2.1")
    assert presented.secret == issued.secret
    assert issued.subprotocols[1].startswith(TICKET_PREFIX)
    assert setting.redeem(presented.secret, key=presented.web_session)


def test_a_ticket_is_used_once(setting):
    secret = setting.ticket()
    setting.redeem(secret)[0].delete()
    assert refusal(setting, secret) == "ticket"
    assert Event.objects.filter(kind="session.refused").count() == 1


def test_a_made_up_ticket_leaves_nothing_in_the_database(setting):
    assert refusal(setting, secrets.new_secret()) == "ticket"
    assert not Event.objects.filter(kind="session.refused").exists()


def test_every_bit_counts(setting):
    """S08. A ticket has no fields that could be moved: it is a number alone, looked up by its hash."""
    secret = setting.ticket()
    for place in range(0, 43, 7):
        other = "A" if secret[place] != "A" else "B"
        assert refusal(setting, secret[:place] + other + secret[place + 1 :]) == "ticket"
    setting.redeem(secret)


def test_an_expired_ticket_opens_nothing(setting):
    """S05."""
    secret = setting.ticket()
    ConsoleTicket.objects.update(expires_at=timezone.now() - timedelta(milliseconds=50))
    assert refusal(setting, secret) == "ticket"


def test_a_clock_set_back_does_not_revive_a_ticket(setting, monkeypatch):
    """S05."""
    secret = setting.ticket()
    late = secrets.uptime() + 31
    monkeypatch.setattr(sys.modules["broker.connections.actions.redeem_ticket"], "uptime", lambda: late)
    assert refusal(setting, secret) == "ticket"
    monkeypatch.undo()
    ConsoleTicket.objects.update(
        created_at=timezone.now() + timedelta(hours=1), expires_at=timezone.now() + timedelta(hours=2)
    )
    assert refusal(setting, secret) == "ticket", "a ticket from the future"


def test_a_ticket_of_another_sign_in_is_used_up_and_refused(setting):
    """S06."""
    secret = setting.ticket()
    other = sign_in(setting.world.bob)
    assert refusal(setting, secret, key=other) == "foreign"
    assert refusal(setting, secret) == "ticket"
    assert Event.objects.filter(kind="session.refused", severity="warning").count() == 2


def test_a_ticket_from_another_address_is_refused_where_that_is_wanted(setting, settings):
    """S06."""
    setting.redeem(setting.ticket(), address="198.51.100.7")[0].delete()
    settings.CONSOLE_BIND_ADDRESS = True
    assert refusal(setting, setting.ticket(), address="198.51.100.7") == "foreign"


def test_a_sign_out_kills_the_ticket(setting):
    secret = setting.ticket()
    WebSession.objects.filter(session_key=setting.key).delete()
    assert refusal(setting, secret) == "signed-out"


def test_a_changed_password_kills_the_ticket(setting):
    secret = setting.ticket()
    setting.world.alice.set_password("another good one")
    setting.world.alice.save()
    assert refusal(setting, secret) == "signed-out"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: type(s.world.alice).objects.filter(pk=s.world.alice.pk).update(is_active=False), "disabled"),
        (lambda s: Grant.objects.filter(user=s.world.alice).delete(), "right-lost"),
        (lambda s: VirtualMachine.objects.update(power_state="off"), "stopped"),
        (lambda s: VirtualMachine.objects.update(state="deleting"), "stopped"),
        (lambda s: VirtualMachine.objects.update(boot_id="another"), "rebooted"),
        (lambda s: VirtualMachine.objects.update(consoles=[]), "unreachable"),
        (lambda s: VirtualMachine.objects.update(consoles=[{"kind": "vnc", "host": "h", "port": 5900}]), "unreachable"),
    ],
    ids=["disabled", "right lost", "off", "deleting", "rebooted", "no screen", "bare TCP"],
)
def test_what_changed_since_the_ticket_was_given_counts(setting, change, reason):
    """S07, S10."""
    secret = setting.ticket()
    change(setting)
    assert refusal(setting, secret) == reason


def test_a_deleted_machine_takes_its_tickets_with_it(setting):
    """S07: another machine has its socket now."""
    secret = setting.ticket()
    setting.vm.delete()
    successor = make_vm(setting.world, "desk-2", consoles=setting.vm.consoles)
    setting.world.grant(setting.world.alice, "vm-user", successor)
    assert refusal(setting, secret) == "ticket"


def test_a_remote_machine_is_dialled_by_tls(setting):
    VirtualMachine.objects.update(consoles=[{"kind": "vnc", "host": "host-2.example", "port": 5901, "tls": True}])
    setting.vm.refresh_from_db()
    _, endpoint = setting.redeem(setting.ticket())
    assert (endpoint.host, endpoint.port, endpoint.tls, endpoint.unix) == ("host-2.example", 5901, True, "")


def test_who_may_not_gets_no_ticket(setting):
    with pytest.raises(Missing):
        issue_ticket(actor=setting.actor("charlie"), vm=setting.vm)
    setting.world.grant(setting.world.charlie, "viewer", setting.vm)
    with pytest.raises(Denied):
        issue_ticket(actor=setting.actor("charlie"), vm=setting.vm)
    with pytest.raises(Denied):
        issue_ticket(actor=setting.actor(key=""), vm=setting.vm)
    with pytest.raises(Denied):
        issue_ticket(actor=Actor.system("somebody"), vm=setting.vm)
    with pytest.raises(Denied):
        redeem_ticket(actor=setting.actor(), secret="x", web_session=setting.key, address=None, gateway="g")
    with pytest.raises(Invalid):
        issue_ticket(actor=setting.actor(), vm=setting.vm, kind="telnet")
    assert not ConsoleTicket.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{"power_state": "off"}, {"state": "creating"}, {"consoles": []}, {"consoles": [{"kind": "spice", "unix": "/x"}]}],
)
def test_a_machine_that_has_no_screen_now_gets_no_ticket(setting, fields):
    for name, value in fields.items():
        setattr(setting.vm, name, value)
    with pytest.raises(Conflict) as info:
        setting.ticket()
    assert info.value.fix


def test_consoles_of_a_user_are_limited(setting):
    """S11."""
    for number in range(SESSIONS_PER_USER):
        vm = make_vm(setting.world, f"more-{number}")
        Session.objects.create(user=setting.world.alice, vm=vm, gateway="g1")
    with pytest.raises(OverQuota):
        setting.ticket()


def test_the_last_place_is_given_once(setting):
    other = make_vm(setting.world, "another")
    setting.world.grant(setting.world.alice, "vm-user", other)
    tickets = [setting.ticket(), issue_ticket(actor=setting.actor(), vm=other).secret]
    for number in range(SESSIONS_PER_USER - 1):
        Session.objects.create(user=setting.world.alice, vm=make_vm(setting.world, f"more-{number}"), gateway="g1")
    setting.redeem(tickets[0])
    with pytest.raises(TicketRefused) as info:
        setting.redeem(tickets[1])
    assert info.value.reason == "too-many"


def test_who_has_all_consoles_open_that_are_allowed_comes_back_to_each_when_their_gateway_died(setting):
    """At once, while the dead gateway's sessions still look alive."""
    for number in range(SESSIONS_PER_USER - 1):
        Session.objects.create(user=setting.world.alice, vm=make_vm(setting.world, f"more-{number}"), gateway="g1")
    setting.open()
    setting.open()
    elsewhere = make_vm(setting.world, "another")
    setting.world.grant(setting.world.alice, "vm-user", elsewhere)
    with pytest.raises(OverQuota):
        issue_ticket(actor=setting.actor(), vm=elsewhere)


def test_sessions_that_no_gateway_vouches_for_count_towards_no_limit(setting):
    for number in range(SESSIONS_PER_USER):
        vm = make_vm(setting.world, f"more-{number}")
        Session.objects.create(user=setting.world.alice, vm=vm, gateway="g1")
    for _ in range(SESSIONS_PER_VM):
        Session.objects.create(user=setting.world.bob, vm=setting.vm, gateway="g1", purpose="look")
    Session.objects.update(last_seen_at=timezone.now() - VOUCHED - timedelta(seconds=1))
    assert setting.open()
    Session.objects.filter(gateway="g1").update(via=ASSUMED)  # nobody has to vouch for these
    with pytest.raises(OverQuota):
        setting.ticket()


def test_consoles_of_a_machine_are_limited(setting):
    secret = setting.ticket()
    for _ in range(SESSIONS_PER_VM):
        Session.objects.create(user=setting.world.bob, vm=setting.vm, gateway="g1", purpose="look")
    with pytest.raises(TicketRefused) as info:
        setting.redeem(secret)
    assert info.value.reason == "too-many"


def test_unused_tickets_are_limited(setting):
    """S11, F34."""
    for _ in range(TICKETS_WAITING):
        setting.ticket()
    with pytest.raises(OverQuota):
        setting.ticket()
    ConsoleTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    setting.ticket()


@pytest.mark.django_db(transaction=True)
def test_of_fifty_redeemers_at_once_one_succeeds(setting):
    """S04."""
    secret = setting.ticket()
    start = threading.Barrier(25)

    def attempt(_: int) -> str:
        start.wait()
        try:
            setting.redeem(secret)
            return "opened"
        except TicketRefused as refused:
            return str(refused.reason)
        finally:
            connection.close()

    with ThreadPoolExecutor(25) as pool:
        outcomes = list(pool.map(attempt, range(50)))
    assert sorted(outcomes) == ["opened"] + ["ticket"] * 49
    assert Session.objects.count() == 1
