"""Follow a directory: every few seconds what changed, and now and then everything.

A look reads the users changed since the last one, asks whether those who are signed in are still there, and compares
the groups' change stamps; only when these differ, or after `full_sync_minutes`, is everything read. So somebody who is
disabled, removed, or taken out of a group is out within a look, and a quiet directory costs next to nothing.
"""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.directories.found import Person
from broker.directories.models import Directory, SyncAsked, User
from broker.directories.secret import opened
from broker.events.news import publish
from broker.events.record import record

from .bulk import Outcome, People, Row, unlikely, write_groups
from .config import LdapConfig, of_row
from .entries import (
    changed_attribute,
    external_id,
    id_filter,
    may_sign_in,
    moment,
    person,
    user_attributes,
)
from .line import Line, dial
from .reading import pages
from .roster import fingerprint, read

log = logging.getLogger(__name__)
DIAL_SECONDS = 5.0
LOOK_SECONDS = 20.0
READ_SECONDS = 100.0
OVERLAP = timedelta(seconds=90)
"""How much of what was seen is asked for again: a replica may be behind the server that was asked before."""
HELD_AGE = timedelta(minutes=2)
"""How soon everything is read again after something was held back: the directory may be whole by then."""
ASKED_AT_ONCE = 100
FORMAT = "%Y%m%d%H%M%S"
TOLD = ("created", "changed", "disabled", "enabled", "joined", "left")
LIKELY_RULE, NAME_RULE = "directory.likely", "directory.name"


def follow(directory: Directory) -> Outcome | None:
    """Do what is due; None when another worker is at it. Raises BerthError; then nothing was taken away."""
    mine = Directory.objects.filter(pk=directory.pk, looked_at=directory.looked_at)
    if not mine.update(looked_at=clock.now()):
        return None
    try:
        config = of_row(directory)
        line = dial(config, opened(directory), seconds=DIAL_SECONDS, patient=True)
        try:
            return _look(directory, config, line)
        finally:
            line._l.unbind_ext()
    except BerthError as error:
        _remember(directory, error)
        raise


def _look(directory: Directory, config: LdapConfig, line: Line) -> Outcome:
    asked, state = directory.sync_asked, dict(directory.sync_state)
    line.give(LOOK_SECONDS)
    stamp = fingerprint(line, config)
    age = timedelta(minutes=config.full_sync_minutes)
    if directory.sync_held:
        age = min(age, HELD_AGE)
    due = directory.synced_at is None or clock.now() - directory.synced_at > age
    if due or asked or "cursor" not in state or state.get("groups") != stamp:
        line.give(READ_SECONDS)
        return _full(directory, config, line, stamp, accept=asked == SyncAsked.ACCEPT)
    outcome = Outcome()
    changed = _changed(line, config, state["cursor"])
    people = People(directory, changed, outcome)
    people.write()
    _still_there(directory, config, line, people, outcome)
    state["cursor"] = _cursor(config, changed, state["cursor"])
    if config.group_member == "memberUid" and outcome.rows:
        state["groups"] = ""  # a primary group may have changed, which only the user's entry tells
    _done(directory, outcome, state, whole=False)
    return outcome


def _full(directory: Directory, config: LdapConfig, line: Line, stamp: str, *, accept: bool) -> Outcome:
    roster, outcome = read(line, config), Outcome()
    people = People(directory, roster.people, outcome)
    known = sum(row.is_active for row in people.rows.values())
    gone = people.absent(person.id for person in roster.people)
    if gone and (not roster.people or (not accept and unlikely(len(gone), known))):
        _hold(line, config, people, gone, outcome)
    else:
        people.retire(gone)
    if roster.people:
        people.free_names()
        people.write()
        write_groups(people, roster, accept=accept)
    state = {"cursor": _cursor(config, roster.people, ""), "groups": stamp}
    directory.synced_at = clock.now()
    if outcome.rows:
        record(
            "directory.synced",
            actor=Actor.system(f"directory {directory.name}"),
            subject=directory,
            message=N_(
                "%(name)s: %(created)s new, %(changed)s changed, %(disabled)s disabled, %(enabled)s enabled; "
                "%(joined)s joined groups, %(left)s left"
            ),
            name=directory,
            **{name: getattr(outcome, name) for name in TOLD},
        )
    _done(directory, outcome, state, whole=True)
    return outcome


def _changed(line: Line, config: LdapConfig, cursor: str) -> list[Person]:
    wanted = f"(&{config.user_filter}({changed_attribute(config)}>={cursor}))"
    entries = pages(line, config.user_base, wanted, user_attributes(config))
    return [who for _, entry in entries if (who := person(config, entry))]


def _still_there(directory: Directory, config: LdapConfig, line: Line, people: People, outcome: Outcome) -> None:
    """Keep out those who were signed in and whose entry is gone: a removal leaves no entry that would have changed."""
    since = clock.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    ids = list(
        User.objects.filter(Q(last_login__gte=since), directory=directory, is_active=True)
        .exclude(external_id="")
        .values_list("external_id", flat=True)
    )
    present: list[str] = []
    for begin in range(0, len(ids), ASKED_AT_ONCE):
        part = ids[begin : begin + ASKED_AT_ONCE]
        wanted = f"(&{config.user_filter}(|{''.join(id_filter(config, id) for id in part)}))"
        found = pages(line, config.user_base, wanted, [config.id_attribute])
        present += [external_id(config, entry) for _, entry in found]
    gone = people.absent(present, among=ids)
    if not gone:
        return
    if unlikely(len(gone), len(ids)) or not _has_people(line, config):
        _hold(line, config, people, gone, outcome)
    else:
        people.retire(gone)


def _hold(line: Line, config: LdapConfig, people: People, gone: list[Row], outcome: Outcome) -> None:
    """Keep those who vanish in unlikely numbers; but nobody whose entry is there and says that they are disabled.

    A filter for users often leaves out who is disabled: then they vanish from the list, and nothing of it is unlikely.
    """
    vanished = {row.pk for row in gone}
    ids = [id for id, row in people.rows.items() if row.pk in vanished]
    disabled: set[str] = set()
    for begin in range(0, len(ids), ASKED_AT_ONCE):
        wanted = f"(|{''.join(id_filter(config, id) for id in ids[begin : begin + ASKED_AT_ONCE])})"
        found = pages(line, config.user_base, wanted, user_attributes(config))
        disabled |= {external_id(config, entry) for _, entry in found if not may_sign_in(config, entry)}
    people.retire([people.rows[id] for id in ids if id in disabled])
    outcome.held += sum(id not in disabled for id in ids)


def _has_people(line: Line, config: LdapConfig) -> bool:
    """Whether the directory still shows us anybody: rights that were taken from our reader look like empty lists."""
    return next(pages(line, config.user_base, config.user_filter, ["1.1"], most=1), None) is not None


def _cursor(config: LdapConfig, people: list[Person], before: str) -> str:
    """From when on changes are asked for next time, in the server's own time."""
    moments = [at for who in people if (at := moment(who.changed))]
    if not moments:
        return before or f"{clock.now() - OVERLAP:{FORMAT}}{_ending(config)}"
    return max(before, f"{max(moments) - OVERLAP:{FORMAT}}{_ending(config)}")


def _ending(config: LdapConfig) -> str:
    return ".0Z" if config.flavour == "ad" else "Z"


def _done(directory: Directory, outcome: Outcome, state: dict[str, Any], *, whole: bool) -> None:
    """Write down how the look ended. What a whole reading refused stays said until another one refuses nothing."""
    problem = _problem(directory, outcome)
    known = directory.sync_error.get("rule") in (LIKELY_RULE, NAME_RULE)
    rows = Directory.objects.filter(pk=directory.pk)
    if problem is None and known and not whole:
        rows.update(sync_state=state)
    else:
        _tell(directory, problem)
        rows.update(
            synced_at=directory.synced_at, sync_state=state, sync_held=outcome.held,
            sync_error=problem.as_dict() if problem else {},
        )  # fmt: skip
    if whole and directory.sync_asked:  # unless something else was asked for meanwhile
        rows.filter(sync_asked=directory.sync_asked).update(sync_asked="")
    if outcome.rows or problem:
        publish("directory", directory.pk)


def _problem(directory: Directory, outcome: Outcome) -> Conflict | None:
    if outcome.held:
        return Conflict(
            N_("%(held)s users or memberships are missing in what %(directory)s answered; they were kept."),
            rule=LIKELY_RULE,
            fix=N_("If they are really gone, have it read again and accept the removals."),
            held=outcome.held,
            directory=directory.name,
        )
    if outcome.refused:
        return Conflict(
            N_("Some users of %(directory)s cannot be taken over, because their names are used twice: %(names)s"),
            rule=NAME_RULE,
            fix=N_("Rename one of the two."),
            directory=directory.name,
            names=", ".join(sorted(set(outcome.refused))[:10]),
        )
    return None


def _remember(directory: Directory, error: BerthError) -> None:
    _tell(directory, error)
    Directory.objects.filter(pk=directory.pk).update(sync_error=error.as_dict())
    publish("directory", directory.pk)


def _tell(directory: Directory, problem: BerthError | None) -> None:
    """An event when the trouble begins, changes, or is over; not at every look."""
    before = directory.sync_error.get("message", "")
    if (problem.template if problem else "") == before:
        return
    actor = Actor.system(f"directory {directory.name}")
    if problem is None:
        message = N_("Directory %(name)s is well again")
        record("directory.well", actor=actor, subject=directory, message=message, name=directory)
    else:
        kind = "directory.down" if isinstance(problem, Unavailable) else "directory.held"
        record(kind, actor=actor, subject=directory, severity="warning", message=problem.template, **problem.params)
