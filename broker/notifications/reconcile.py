"""The duty that delivers: each subscription's new events in one delivery, at least once, with pauses after failures.

Mail goes at most once a minute to each. A delivery that failed is tried again as it was, under the same id, after a
pause that doubles up to an hour; the first failure is an event, and so is the first success after it.
"""

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import translation
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.core import clock
from broker.core.sealing import CannotOpen
from broker.core.text import gettext_noop as N_
from broker.directories.languages import language_of
from broker.events.models import Event
from broker.events.record import record

from . import rules, secret
from .models import Subscription, Way
from .sending import Delivery, Undelivered, as_json, send

log = logging.getLogger(__name__)
NOTIFIER = Actor.system("notifications")
MOST_AT_ONCE, MOST_EVENTS, LISTED = 40, 100, 50
MAIL_PAUSE, FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(seconds=30), timedelta(hours=1)
AT_ONCE = 8


def deliver() -> int:
    """Every few seconds; returns how many deliveries were taken."""
    head, now = rules.newest(), clock.now()
    due = Subscription.objects.filter(enabled=True, due_at__lte=now).exclude(cursor__gte=head, test_asked=False)
    ready = []
    for row in due.select_related("owner").order_by("due_at")[:MOST_AT_ONCE]:
        if row.owner is not None and not (row.owner.is_active and rules.may_read(Actor.for_user(row.owner))):
            Subscription.objects.filter(pk=row.pk).update(cursor=head, until=None, test_asked=False)
            continue
        if delivery := _next(row, head):
            ready.append((row, delivery))
    if not ready:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(_try, [delivery for _row, delivery in ready]))
    for (row, _delivery), problem in zip(ready, outcomes, strict=True):
        _failed(row, problem) if problem else _taken(row)
    return outcomes.count("")


def _next(row: Subscription, head: int) -> Delivery | None:
    """What is to be sent now; None when nothing of what happened is wanted, which moves the cursor on."""
    if row.test_asked:
        return _made(row, f"test-{clock.now().isoformat()}", [], test=True)
    fitting = Event.objects.filter(rules.wanted(row), position__gt=row.cursor).order_by("position")
    if row.until is None:
        row.until = head
        if row.way == Way.WEBHOOK:
            some = list(fitting.filter(position__lte=head).values_list("position", flat=True)[: MOST_EVENTS + 1])
            row.until = some[MOST_EVENTS - 1] if len(some) > MOST_EVENTS else head
        Subscription.objects.filter(pk=row.pk).update(until=row.until)
    fitting = fitting.filter(position__lte=row.until)
    events = list(fitting[: MOST_EVENTS if row.way == Way.WEBHOOK else LISTED])
    if not events:
        Subscription.objects.filter(pk=row.pk).update(cursor=row.until, until=None)
        return None
    count = fitting.count() if len(events) == LISTED else len(events)
    return _made(row, f"{row.cursor}-{row.until}", events, count=count)


def _made(row: Subscription, part: str, events: list[Event], *, count: int = 0, test: bool = False) -> Delivery:
    name = str(uuid.uuid5(row.pk, part))
    if row.way == Way.WEBHOOK:
        body = as_json(
            {"delivery": name, "subscription": row.name, "test": test, "events": [_told(event) for event in events]}
        )
        return Delivery(name, row.way, row.target, "", body, row.secret)
    with translation.override(language_of(row.owner) or settings.LANGUAGE_CODE):
        subject, text = _mail(row, events, count=count, test=test)
    return Delivery(name, row.way, row.target, subject, text)


def _mail(row: Subscription, events: list[Event], *, count: int, test: bool) -> tuple[str, str]:
    """Subject and text, in the language that is set."""
    lines = [
        f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {one.severity:7}  {one.message}  ({one.kind}, {one.by})" for one in events
    ]
    if count > len(events):
        lines.append(_("… and %(count)d more; the page of events has them all.") % {"count": count - len(events)})
    if test:
        lines = [_("This is a test of the subscription %(name)s. Mail reaches you.") % {"name": row.name}]
    subject = (
        _("Berth: a test") if test else _("Berth: %(count)d events (%(name)s)") % {"count": count, "name": row.name}
    )
    return subject, "\n".join(lines) + "\n"


def _told(event: Event) -> dict[str, Any]:
    return {
        "position": event.position, "digest": event.digest, "at": event.at.isoformat(), "kind": event.kind,
        "severity": event.severity, "actor": event.actor_name, "token": event.token, "subject_kind": event.subject_kind,
        "subject_id": str(event.subject_id) if event.subject_id else None, "subject": event.subject_name,
        "text": event.message, "correlation": event.correlation,
    }  # fmt: skip


def _try(delivery: Delivery) -> str:
    """Why it was not taken, or nothing."""
    try:
        key = secret.opened(delivery.key) if delivery.key else ""
        send(Delivery(delivery.id, delivery.way, delivery.target, delivery.subject, delivery.body, key))
    except CannotOpen:
        return "the key cannot be read any more; set it again"
    except Undelivered as error:
        return str(error) or "not taken"
    except Exception as error:
        log.exception("A delivery failed in a way nobody thought of")
        return f"{type(error).__name__}: {error}"[:500]
    return ""


def _taken(row: Subscription) -> None:
    now = clock.now()
    values: dict[str, Any] = {"failures": 0, "error": "", "told_at": now}
    if row.test_asked:
        values["test_asked"] = False
    else:
        values |= {"cursor": row.until, "until": None}
    values["due_at"] = now + MAIL_PAUSE if row.way == Way.MAIL else now
    Subscription.objects.filter(pk=row.pk).update(**values)
    if row.failures:
        record("notification.works", actor=NOTIFIER, subject=row, name=row.name,
               message=N_("Notifications of %(name)s arrive again"))  # fmt: skip


def _failed(row: Subscription, problem: str) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(row.failures, 10), LONGEST_PAUSE)
    Subscription.objects.filter(pk=row.pk).update(
        failures=F("failures") + 1, error=problem, due_at=clock.now() + pause, test_asked=False
    )
    if not row.failures:
        record("notification.failed", actor=NOTIFIER, subject=row, severity="error", name=row.name, cause=problem,
               message=N_("Notifications of %(name)s do not arrive: %(cause)s"))  # fmt: skip
