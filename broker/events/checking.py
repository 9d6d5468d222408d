"""Whether the chain of events is whole: a pass over all of them in parts, once a day and when somebody asks.

Beside what `verify` finds, a pass remembers where the last good one ended: a chain that is shorter than it was, or that
was sealed anew up to there, is broken too.
"""

from datetime import timedelta
from typing import Any

from broker.core import clock
from broker.core.text import gettext_noop as N_

from .models import ChainCheck, Event
from .record import ActorLike, record
from .seal import follow

EVERY = timedelta(days=1)
PART = 100_000  # events in one run of the duty
CHANGED, RESEALED, CUT = "changed", "resealed", "cut"


class _Checker:
    """Who tells of a broken chain: Berth itself (rights, and the actors that have them, are of a layer above)."""

    user_id: Any = None
    name, address, correlation = "events.check", None, ""


CHECKER: ActorLike = _Checker()


def the_check() -> ChainCheck:
    return ChainCheck.objects.get_or_create(pk=1)[0]


def check(part: int = PART) -> None:
    """The duty: goes on with a pass, or begins one that is due or asked for."""
    row = the_check()
    if not row.under_way:
        if not row.asked and row.ended_at and row.ended_at > clock.now() - EVERY:
            return
        row.asked, row.under_way, row.position, row.digest, row.began_at = False, True, 0, "", clock.now()
    before, problem = row.position, ""
    seen = row.good_position if before < row.good_position <= before + part else 0
    if seen:  # stop there once, to compare
        part = row.good_position - before
    row.position, row.digest, wrong = follow(row.position, row.digest, part)
    over = row.position < before + part
    if wrong is not None:
        problem = CHANGED
    elif seen and row.position == seen and row.digest != row.good_digest:
        problem = RESEALED
    elif over and row.position < row.good_position:
        problem = CUT
    if problem or over:
        _end(row, problem, wrong)
    row.save()


def _end(row: ChainCheck, problem: str, wrong: Event | None) -> None:
    told_before = row.problem
    row.under_way, row.ended_at, row.problem = False, clock.now(), problem
    row.wrong_id, row.wrong_kind = (wrong.pk, wrong.kind) if wrong else (None, "")
    if not problem:
        row.good_position, row.good_digest = row.position, row.digest
    elif not told_before:
        record("events.broken", actor=CHECKER, severity="error", position=row.position,
               message=N_("The chain of events is broken after position %(position)s"))  # fmt: skip
