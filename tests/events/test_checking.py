"""A pass over the chain goes on in parts, says what is wrong, and knows what the last good one ended with."""

from datetime import timedelta

import pytest

from broker.access.actions.verify_events import verify_events
from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Denied
from broker.events.checking import check, the_check
from broker.events.models import ChainCheck, Event
from broker.events.record import record
from broker.events.seal import seal

pytestmark = pytest.mark.django_db


def events(count):
    for number in range(count):
        record("x", actor=Actor.system("test"), message="%(n)s", n=number)
    Event.objects.filter(position=None).update(at=clock.now() - timedelta(minutes=1))
    seal()


def passed(part=4):
    """A whole pass, begun because somebody asked; the row and how many runs it took."""
    ChainCheck.objects.update(asked=True)
    runs = 0
    while runs == 0 or the_check().under_way:
        check(part)
        runs += 1
    return the_check(), runs


def test_it_goes_in_parts_and_once_a_day():
    events(10)
    check(4)
    assert the_check().under_way
    check(4)
    check(4)
    row = the_check()
    assert (row.problem, row.good_position, row.under_way) == ("", 10, False)
    events(1)
    check(4)
    assert the_check().good_position == 10  # not due
    ChainCheck.objects.update(ended_at=clock.now() - timedelta(days=2))
    check(100)
    check(100)
    assert the_check().good_position == 11


def test_what_was_changed_is_named_and_told_once():
    events(10)
    passed()
    Event.objects.filter(position=7).update(actor_name="somebody else")
    row, _runs = passed()
    assert (row.problem, row.position, row.good_position) == ("changed", 6, 10)
    assert row.wrong_id == Event.objects.get(position=7).pk
    passed()
    assert Event.objects.filter(kind="events.broken").count() == 1


def test_a_cut_end_is_found():
    events(10)
    passed()
    Event.objects.filter(position__gt=8).delete()
    assert passed()[0].problem == "cut"


def test_a_chain_that_was_sealed_anew_is_found():
    events(10)
    passed()
    Event.objects.filter(position=9).update(actor_name="somebody else")
    Event.objects.update(position=None, digest="")
    seal()
    assert passed()[0].problem == "resealed"


def test_who_runs_the_system_may_ask(world):
    with pytest.raises(Denied):
        verify_events(actor=world.actor("alice"))
    verify_events(actor=world.actor("root"))
    verify_events(actor=world.actor("root"))
    assert the_check().asked and Event.objects.filter(kind="events.verify").count() == 1
