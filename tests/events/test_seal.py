"""The chain of events shows what was changed or removed afterwards (S45)."""

from datetime import timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Reason
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


def test_what_was_looked_at_is_sealed_with_the_event(world):
    refusal = Conflict("no", fix="wait", rule="pool.open", reasons=[Reason("desk-1", "in-use", "%(who)s", who="alice")])
    event = record("test.refused", actor=Actor.system("test"), message="x", explanation=refusal.as_dict())
    Event.objects.update(at=clock.now() - timedelta(minutes=1))
    seal()
    assert verify() is None
    Event.objects.filter(pk=event.pk).update(explanation={**refusal.as_dict(), "reasons": []})
    assert verify() == event
