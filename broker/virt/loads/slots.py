"""Where a moment goes: how long a slot is, how many there are, and which one a moment falls into."""

from datetime import UTC, datetime, timedelta

from broker.virt.models.load import Span

STEP = {Span.MINUTE: timedelta(minutes=1), Span.HOUR: timedelta(hours=1), Span.DAY: timedelta(days=1)}
SLOTS = {Span.MINUTE: 24 * 60, Span.HOUR: 60 * 24, Span.DAY: 5 * 366}


def kept(span: Span) -> timedelta:
    """How far back the slots reach."""
    return STEP[span] * SLOTS[span]


def begin(span: Span, at: datetime) -> datetime:
    """When the minute, hour or day that `at` is in began (UTC)."""
    step = int(STEP[span].total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // step * step, UTC)


def slot(span: Span, at: datetime) -> int:
    return int(at.timestamp()) // int(STEP[span].total_seconds()) % SLOTS[span]
