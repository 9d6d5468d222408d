"""Events as a file, sent as they are read: JSON lines or CSV, of what the reader may see and the list's filters say."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.events.models import Event
from portal.web.base import SignedIn
from portal.web.event_filters import asked, narrowed
from portal.web.listing import search_text
from portal.why import Sight

BATCH = 500
FIELDS = (
    "position", "digest", "at", "severity", "kind", "actor", "address", "on", "name", "text", "correlation", "token",
)  # fmt: skip
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
SEARCHED = ("kind", "subject_name", "actor_name", "template", "correlation", "address")


class Export(SignedIn):
    """GET …/events.jsonl or …/events.csv, oldest first; filtered as the list is."""

    def get(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        if kind not in TYPES:
            raise Http404
        rows = visible_to(self.actor, Event).order_by("pk")
        wanted = Q()
        if text := search_text(request):
            for field in SEARCHED:
                wanted |= Q(**{f"{field}__icontains": text})
        for name, field in (("severity", "severity"), ("on", "subject_kind")):
            if value := request.GET.get(name, "").replace("\0", ""):
                rows = rows.filter(**{field: value})
        rows = narrowed(rows, asked(request))
        headers = {"Content-Disposition": f'attachment; filename="events.{kind}"', "Cache-Control": "no-store"}
        lines = _lines(self.actor, rows.filter(wanted), kind)
        return StreamingHttpResponse(lines, content_type=TYPES[kind], headers=headers)


async def _lines(actor: Actor, rows: QuerySet[Event], kind: str) -> AsyncIterator[str]:
    """A bounded number of rows in memory at a time, each batch read anew after the last id."""
    if kind == "csv":
        yield _csv([FIELDS])
    last = 0
    while batch := await sync_to_async(_read)(actor, rows.filter(pk__gt=last)[:BATCH]):
        last = batch[-1][0]
        told = [one for _id, one in batch]
        if kind == "csv":
            yield _csv([[_plain(one[name]) for name in FIELDS] for one in told])
        else:
            yield "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)


def _read(actor: Actor, rows: QuerySet[Event]) -> list[tuple[int, dict[str, Any]]]:
    sight = Sight(actor, ())
    return [
        (
            event.pk,
            {
                "position": event.position, "digest": event.digest, "at": event.at.isoformat(),
                "severity": event.severity, "kind": event.kind, "actor": event.actor_name, "address": event.address,
                "on": event.subject_kind, "name": event.subject_name, "text": sight.text_of(event),
                "correlation": event.correlation, "token": event.token,
            },
        )
        for event in rows
    ]  # fmt: skip


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A cell that a spreadsheet takes for text, not for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
