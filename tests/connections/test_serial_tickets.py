"""The serial line has a right of its own: the screen's is not enough, and losing it ends the line."""

from uuid import UUID

import pytest

from broker.access.models import Grant, Role
from broker.connections.actions import issue_ticket
from broker.connections.models import Session
from broker.connections.queries import must_end
from broker.core.errors import Denied, Invalid, Missing

pytestmark = pytest.mark.django_db


def test_the_right_to_the_screen_opens_no_line(setting):
    with pytest.raises(Denied):
        setting.ticket(kind="serial")
    with pytest.raises(Missing):
        issue_ticket(actor=setting.actor("charlie"), vm=setting.vm, kind="serial")
    with pytest.raises(Invalid):
        setting.ticket(kind="telnet")


def test_a_line_is_opened_beside_another_persons_screen_and_ends_with_the_right(setting):
    setting.open()
    world = setting.world
    role = Role.objects.create(name="console-hand", title="Console hand", verbs=["vm.view", "vm.serial"])
    given = Grant.objects.create(user=world.alice, role=role, object_kind="vm", object_id=setting.vm.pk)
    session, endpoint = setting.redeem(setting.ticket(kind="serial"))
    assert endpoint.kind == "serial" and endpoint.unix.endswith("serial.sock")
    assert session.purpose == Session.Purpose.SERIAL
    assert not Session.objects.live().own().filter(pk=session.pk).exists(), "it would count as being at the screen"
    running = {UUID(str(session.pk)): setting.key}
    assert must_end(running) == {}
    given.delete()
    assert {str(reason) for reason in must_end(running).values()} == {"right-lost"}
