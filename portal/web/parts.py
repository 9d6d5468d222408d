"""The small pieces pages are made of, as plain data for the templates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import CharField, Q
from django.utils.translation import gettext

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement
from portal.context import holds
from portal.why import Sight, Why

from . import words
from .words import Mark, Text

RECENT = 8


@dataclass(frozen=True, slots=True)
class Action:
    """A button that changes something (a form), or with `link` one that only leads somewhere."""

    label: Text
    url: str
    icon: str
    danger: bool = False
    confirm: Text = ""
    link: bool = False
    disabled: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to connect. `post`: it changes something first; `usual`: what the big button does; `disabled`: it is

    refused, and the hint says why.
    """

    label: Text
    hint: Text
    url: str
    icon: str
    usual: bool = False
    new_window: bool = False
    post: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    label: Text
    url: str
    icon: str = "device-desktop"
    primary: bool = True
    post: bool = False
    choices: Sequence[Choice] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What is under way; `percent` None when nobody can tell."""

    text: Text
    percent: int | None = None
    hint: Text = ""


@dataclass(frozen=True, slots=True)
class Fact:
    icon: str
    text: Text


@dataclass(frozen=True, slots=True)
class Pair:
    """A line of a list of details."""

    label: Text
    text: Text = ""
    mark: Mark | None = None
    url: str = ""
    moment: datetime | None = None
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a plain table."""

    text: Text | int = ""
    url: str = ""
    under: Text = ""
    mark: Mark | None = None
    moment: datetime | None = None
    percent: int | None = None
    label: Text = ""


@dataclass(frozen=True, slots=True)
class Row:
    cells: Sequence[Cell]
    actions: Sequence[Action] = ()


@dataclass(frozen=True, slots=True)
class Related:
    """A table beside the details. `acting`: its rows may have actions."""

    title: Text
    heads: Sequence[Text]
    rows: Sequence[Row]
    empty: Text = ""
    acting: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that should not be overlooked, and what helps. `tone` is good, warn, bad or idle."""

    text: Text
    fix: Text = ""
    tone: str = "warn"
    icon: str = "alert-triangle"
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    label: Text
    value: Any
    under: Text = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as a line of a timeline."""

    text: str
    who: str
    subject: str
    at: datetime
    icon: str
    mark: Mark


def happening(event: Event, *, named: bool = False, sight: Sight | None = None) -> Happening:
    """`named`: say what it happened to; on the page of that very object it goes without saying.

    `sight`: as that reader may know it.
    """
    who = f"{event.by} · {event.address}" if event.address else event.by
    return Happening(
        text=sight.text_of(event) if sight else event.message,
        who=who,
        subject=event.subject_name if named else "",
        at=event.at,
        icon=words.event_icon(event.kind),
        mark=words.SEVERITY.get(event.severity, words.UNKNOWN),
    )


def recent_events(kind: str, subject: UUID, reader: Actor | None = None) -> list[Happening]:
    """The last few events about one object: one query.

    With `reader`, as somebody who may not read all events is told them: their own and those of Berth itself.
    """
    rows = Event.objects.filter(subject_kind=kind, subject_id=subject)
    if reader is not None and not holds(reader, "event.view"):
        rows = rows.filter(Q(actor=None) | Q(actor=reader.user_id))
    sight = Sight(reader, ()) if reader else None
    return [happening(event, sight=sight) for event in rows[:RECENT]]


# Built once: every page of a machine or of its screen asks.
_JOBS_OF_ONE = Statement(
    lambda: Job.objects.filter(
        subject_kind=Given("kind", CharField()), subject_id=Given("subject"), state__in=sorted(ACTIVE)
    )
)


def jobs_of(kind: str, subjects: Iterable[UUID]) -> dict[UUID, Job]:
    """The active job of each of the objects that has one: one query."""
    ids = list(subjects)
    if len(ids) == 1:
        rows = _JOBS_OF_ONE.objects(kind=kind, subject=ids[0])
    else:
        rows = list(Job.objects.filter(subject_kind=kind, subject_id__in=ids, state__in=ACTIVE))
    return {job.subject_id: job for job in rows}


def progress_of(job: Job) -> Progress:
    """A job as a bar: its present text, and how far it is when it has said so."""
    return Progress(
        text=job.text or gettext(job.title),
        percent=job.progress or None,
        hint=gettext("You can close this page; it goes on without you."),
    )


def error_sentences(error: BerthError) -> tuple[str, str]:
    """An error's cause and fix in the reader's language."""
    cause = gettext(error.template) if error.template else ""
    fix = gettext(error.fix_template) if error.fix_template else ""
    return (cause % error.params if error.params else cause, fix % error.params if error.params else fix)


def stored_sentences(error: Mapping[str, Any] | None) -> tuple[str, str]:
    """The same for an error kept in a row as BerthError.as_dict() wrote it."""
    if not error:
        return "", ""
    params = error.get("params") or {}
    cause, fix = error.get("message") or "", error.get("fix") or ""
    cause, fix = gettext(cause) if cause else "", gettext(fix) if fix else ""
    return (cause % params if params else cause, fix % params if params else fix)
