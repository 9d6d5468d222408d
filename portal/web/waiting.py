"""Waiting for a desktop in words: the place in the queue, an honest estimate, and when a pool opens."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.contrib.humanize.templatetags.humanize import ordinal
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.core import clock
from pools.hours import closing, moment, opening_of, zone_of
from pools.models import MetaPool, Pool
from pools.queue import BEAT, Place

from .parts import Action

LONG = 3600


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a page shows of a place. `beat_url`: to be posted to every `beat` seconds, which keeps the place."""

    pool: Pool
    position: int
    sentence: str
    estimate: str
    others: str
    beat: int
    beat_url: str
    leave: Action
    came: bool


def waiting_of(place: Place, meta: MetaPool | None = None) -> Waiting:
    """`meta`: the meta-pool through which the user waits."""
    address, key = ("portal:meta-pool-{}", meta.pk) if meta else ("portal:pool-{}", place.pool.pk)
    return Waiting(
        pool=place.pool,
        position=place.position,
        sentence=_("You are %(position)s in the queue") % {"position": ordinal(place.position)},
        estimate=estimate(place.seconds),
        others=ngettext("%(count)d person waits.", "%(count)d people wait.", place.waiting) % {"count": place.waiting},
        beat=BEAT,
        beat_url=reverse(address.format("beat"), args=[key]),
        leave=leave_action(reverse(address.format("leave"), args=[key])),
        came=place.came,
    )


def leave_action(address: str) -> Action:
    return Action(_("Wait no longer"), address, "x")


def estimate(seconds: int | None) -> str:
    """In whole minutes, rounded up; nothing is promised that was not measured."""
    if seconds is None:
        return _("Nobody can say yet how long it will take.")
    if seconds > LONG:
        return _("It will probably take more than an hour.")
    minutes = max(-(-seconds // 60), 1)
    return ngettext("About %(count)d minute.", "About %(count)d minutes.", minutes) % {"count": minutes}


def opens(pool: Pool) -> str:
    """When a closed pool opens, as a sentence; empty for an open one."""
    state = opening_of(pool)
    if state.open:
        return ""
    if state.changes is None:
        return _("It is closed.")
    return _("It is closed; it opens on %(when)s.") % {"when": moment(state.changes, zone_of(pool))}


def closes(pool: Pool) -> str:
    """What who has a desktop is told about closing time; mostly nothing."""
    at = closing(pool)
    if at is None:
        return ""
    if at <= clock.now():
        return _("The pool is closed. You can finish; once given back, the desktop is not to be had before it opens.")
    time = formats.time_format(at.astimezone(ZoneInfo(zone_of(pool))), "H:i")
    return _("The pool closes at %(time)s. You can finish what you are doing.") % {"time": time}
