"""What of the events is looked at: between two times, by whom, of which kind, on what. For the page and for files."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

LONGEST = 120


def asked(request: HttpRequest) -> dict[str, str]:
    """What the filters say, as it was given; what cannot be read is left out."""
    given = {name: request.GET.get(name, "").replace("\0", "").strip()[:LONGEST] for name in _NARROW}
    return {name: value for name, value in given.items() if value and _readable(name, value)}


def narrowed(rows: QuerySet[Any], given: dict[str, str]) -> QuerySet[Any]:
    for name, value in given.items():
        rows = rows.filter(_NARROW[name](value))
    return rows


def _readable(name: str, value: str) -> bool:
    return name not in ("since", "until") or _moment(value) is not None


def _moment(value: str) -> datetime | None:
    """A time as browsers write it; without a zone it is of the installation's."""
    try:
        found = parse_datetime(value)
        return timezone.make_aware(found) if found and timezone.is_naive(found) else found
    except (ValueError, OverflowError):
        return None


def _kind(value: str) -> Q:
    return Q(kind__startswith=value[:-1]) if value.endswith("*") else Q(kind=value)


def _object(value: str) -> Q:
    try:
        return Q(subject_id=UUID(value))
    except ValueError:
        return Q(subject_name__iexact=value)


_NARROW: dict[str, Any] = {
    "since": lambda value: Q(at__gte=_moment(value)),
    "until": lambda value: Q(at__lt=_moment(value)),
    "by": lambda value: Q(actor_name__iexact=value),
    "kind": _kind,
    "object": _object,
}
