"""Further channels of a SPICE session where another gateway has the main one: who may, and for how long."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.connections.actions import issue_ticket, redeem_ticket
from broker.connections.joining import session_to_join
from broker.connections.models import ConsoleTicket, Session
from broker.gateway import closing as why
from broker.gateway.desk import Presented, Refused
from broker.gateway.django_desk import DjangoDesk

from .conftest import GATEWAY, make_vm

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(setting):
    screen = make_vm(setting.world, "desk-2", consoles=[{"kind": "spice", "unix": "/run/desk-2/spice"}])
    setting.world.grant(setting.world.alice, "vm-user", screen)
    return issue_ticket(actor=setting.actor(), vm=screen, kind="spice").secret


def redeem(setting, secret):
    return redeem_ticket(
        actor=GATEWAY, secret=secret, web_session=setting.key, address="192.0.2.1", gateway="one", kind="spice"
    )[0]


def join(setting, secret, *, key=None, via="browser", machine=""):
    key = setting.key if key is None else key
    return session_to_join(secret=secret, web_session=key, address="192.0.2.1", via=via, machine=machine)


def test_what_a_ticket_opened_can_be_joined_for_some_seconds(setting, secret):
    assert join(setting, secret) is None, "it has opened nothing yet"
    session = redeem(setting, secret)
    found, endpoint = join(setting, secret)
    assert (found, endpoint.unix) == (session, "/run/desk-2/spice")
    assert Session.objects.count() == 1, "joining opens nothing"
    ConsoleTicket.objects.update(used_at=timezone.now() - timedelta(seconds=16))
    assert join(setting, secret) is None


def test_nobody_else_joins(setting, secret):
    """S06."""
    session = redeem(setting, secret)
    assert join(setting, secret, key="somebody-else") is None
    assert join(setting, secret, via="native") is None
    assert join(setting, secret, machine=str(setting.vm.pk)) is None
    assert join(setting, "x" * 43) is None
    Session.objects.filter(pk=session.pk).update(state="ending", close_reason="ended")
    assert join(setting, secret) is None, "it was told to end"


@pytest.mark.django_db(transaction=True)  # the desk closes its connection
def test_a_refused_ticket_lends_nothing(setting, secret):
    desk = DjangoDesk("two")
    wrong = Presented(secret, "somebody-else", "192.0.2.1", "spice")
    for ask in (desk.redeem, desk.join):
        with pytest.raises(Refused):
            ask(wrong)
    with pytest.raises(Refused) as refused:
        desk.join(Presented(secret, setting.key, "192.0.2.1", "spice"))
    assert refused.value.closing is why.TICKET
