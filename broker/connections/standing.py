"""What lets others see a machine's screen at present: help that was asked for or allowed, and shared links."""

from uuid import UUID

from broker.core import clock
from broker.events.news import publish

from .models import Help, Share
from .states import HELP


def helps_at(vm: UUID) -> list[Help]:
    """Questions and consents that stand, the oldest first; people loaded."""
    rows = Help.objects.filter(vm=vm, state__in=HELP.sets["standing"])
    return list(rows.select_related("helper", "asked_of").order_by("asked_at"))


def withdraw(vm: UUID) -> None:
    """End all of it, for the machine goes to somebody else; sessions that rest on it are ended by who calls."""
    helps = HELP.attempt(Help.objects.filter(vm=vm), "end", ended_at=clock.now())
    shares = Share.objects.filter(vm=vm, ended_at__isnull=True).update(ended_at=clock.now())
    if helps or shares:
        publish("vm", vm, "console")
