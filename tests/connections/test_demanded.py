"""A second factor that is demanded after the sign-in: its tickets open nothing, and its consoles end."""

import pytest

from broker.access.models import Role
from broker.connections.actions import TicketRefused
from broker.connections.models import Session
from broker.connections.queries import must_end
from broker.connections.states import EndReason
from broker.directories.models import Directory
from tests.directories.codes import set_up, stopped_clock  # noqa: F401 - a fixture

from .conftest import sign_in

pytestmark = pytest.mark.django_db


def test_a_ticket_from_before_opens_nothing(setting):
    secret = setting.ticket()
    Directory.objects.update(second_factor=True)
    with pytest.raises(TicketRefused) as refused:
        setting.redeem(secret)
    assert refused.value.reason == EndReason.SIGNED_OUT and not Session.objects.live().exists()


def test_consoles_of_two_sign_ins_end_and_so_do_programs(setting):
    first = setting.open()
    setting.key, before = sign_in(setting.world.alice), setting.key
    second = setting.open(take_over=True)
    program = setting.open()
    Session.objects.filter(pk=program.pk).update(via="native")
    Session.objects.update(state="open", close_reason="")
    carried = {first.pk: before, second.pk: setting.key, program.pk: ""}
    assert must_end(carried) == {}
    Role.objects.filter(name="vm-user").update(second_factor=True)
    assert must_end(carried) == dict.fromkeys(carried, EndReason.SIGNED_OUT)


def test_with_one_it_goes_on(setting, at):
    set_up(setting.world.alice)
    setting.key = sign_in(type(setting.world.alice).objects.get(pk=setting.world.alice.pk))
    session = setting.open()
    Directory.objects.update(second_factor=True)
    assert must_end({session.pk: setting.key}) == {}
