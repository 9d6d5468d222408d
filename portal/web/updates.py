"""An update that waits for a desktop, as its user is told of it; and a pool's rollout, as its page shows it."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pools.models import Desktop, Pool
from pools.rollout import keeps_data
from pools.updates import Progress, Waiting, progress

from .parts import Action, stored_sentences


@dataclass(frozen=True, slots=True)
class Update:
    """`text`: what waits; `later`: what happens if nobody does anything; `now`: the button."""

    text: str
    later: str
    now: Action


def update_of(desktop: Desktop, found: Waiting | None) -> Update | None:
    """For the user of the desktop; None when nothing waits."""
    if found is None:
        return None
    notes = found.notes.partition("\n")[0].strip()
    text = _("An update waits (version %(number)d).") % {"number": found.number}
    return Update(
        text=f"{text} {notes}" if notes else text,
        later=_later(desktop.pool, found),
        now=Action(
            _("Restart now"), reverse("portal:desktop-update", args=[desktop.pk]), "refresh",
            confirm=_what_goes(found), fields={"discard": "yes"} if found.loses_data else {},
        ),
    )  # fmt: skip


def _what_goes(found: Waiting) -> str:
    if found.loses_data:
        return _("The desktop is made anew: everything stored on it is lost. Copy what you need elsewhere first.")
    return _("The desktop starts anew: unsaved work and what you left on its disk are lost. You keep the desktop.")


def _later(pool: Pool, found: Waiting) -> str:
    if found.loses_data:
        return _("Later: it stays as it is, with all you stored on it, until you say so.")
    return _("Later: it comes by itself when you give the desktop back.")


def rebuild_action(desktop: Desktop, version_number: int) -> Action:
    """For who manages the pool: bring one desktop over now."""
    if keeps_data(desktop.pool):
        text = _("Everything stored on %(name)s is lost.") % {"name": desktop.vm.name}
    else:
        text = _("%(name)s starts anew; unsaved work in it is lost.") % {"name": desktop.vm.name}
    return Action(
        _("Rebuild on version %(number)d") % {"number": version_number},
        reverse("portal:desktop-update", args=[desktop.pk]), "refresh", danger=True, confirm=text,
        fields={"discard": "yes"},
    )  # fmt: skip


def rollout_part(pool: Pool, *, manageable: bool) -> dict[str, Any] | None:
    """What pool_rollout.html shows; None without a rollout: three queries at most."""
    found = progress(pool)
    if found is None:
        return None
    cause, fix = stored_sentences(found.rollout.cause)
    return {
        "progress": found,
        "title": _("From version %(old)s to version %(new)s")
        % {"old": found.rollout.numbers[0], "new": found.rollout.numbers[-1]},
        "notes": found.rollout.version.notes.partition("\n")[0] if found.rollout.version else "",
        "old": ngettext("%(count)d still on the old version", "%(count)d still on the old version", found.old)
        % {"count": found.old},
        "lines": _lines(pool, found),
        "cause": cause,
        "fix": fix,
        "actions": _actions(pool, found) if manageable else [],
        "pace_url": reverse("portal:pool-rollout", args=[pool.pk, "pace"]) if manageable else "",
    }


def _lines(pool: Pool, found: Progress) -> list[str]:
    """What the desktops that are not done wait for."""
    told = (
        (found.working, ngettext("%(count)d is being rebuilt", "%(count)d are being rebuilt", found.working)),
        (found.free, ngettext("%(count)d free one is next", "%(count)d free ones are next", found.free)),
        (found.held, _held(pool, found.held)),
        (
            found.kept,
            ngettext(
                "%(count)d free one keeps data of its last user and is rebuilt only when you say so",
                "%(count)d free ones keep data of their last users and are rebuilt only when you say so",
                found.kept,
            ),
        ),
        (found.broken, ngettext("%(count)d is broken", "%(count)d are broken", found.broken)),
    )
    return [text % {"count": count} for count, text in told if count]


def _held(pool: Pool, count: int) -> str:
    if keeps_data(pool):
        return ngettext(
            "%(count)d is in use and keeps its data until its user or you say so",
            "%(count)d are in use and keep their data until their users or you say so",
            count,
        )
    return ngettext(
        "%(count)d is in use and goes over when it is given back",
        "%(count)d are in use and go over when they are given back",
        count,
    )


def _actions(pool: Pool, found: Progress) -> list[Action]:
    def address(verb: str) -> str:
        return reverse("portal:pool-rollout", args=[pool.pk, verb])

    going = (
        Action(_("Go on"), address("resume"), "player-play")
        if found.stopped
        else Action(_("Stop"), address("stop"), "player-pause")
    )
    back = Action(
        _("Roll back"), address("back"), "history", danger=True,
        confirm=_("The pool is pinned to version %(number)s again; desktops that went over go back the same way.")
        % {"number": found.rollout.numbers[0]},
    )  # fmt: skip
    return [going, back]
