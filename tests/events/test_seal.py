"""The chain of events shows what was changed or removed afterwards."""

from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.events.models import Event
from broker.events.record import record
from broker.events.seal import seal, verify


@pytest.fixture
def sealed(world):
    for number in range(5):
        record("test.counted", actor=Actor.system("test"), subject=world.cluster, message="%(n)s", n=number)
    Event.objects.update(at=clock.now() - timedelta(minutes=1))
    assert seal() == 5


def test_an_untouched_chain_holds(sealed):
    assert verify() is None
    assert seal() == 0


def test_a_changed_row_is_found(sealed):
    third = Event.objects.order_by("id")[2]
    Event.objects.filter(pk=third.pk).update(actor_name="somebody else")
    assert verify() == third


def test_a_removed_row_is_found(sealed):
    ids = list(Event.objects.order_by("id").values_list("pk", flat=True))
    Event.objects.filter(pk=ids[1]).delete()
    assert verify().pk == ids[2]
