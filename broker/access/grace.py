"""How a limit is judged, as disk quotas are: over it up to a hard limit, and for so long at a stretch. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class Limits(Protocol):
    """What of a quota is looked at, beside the limit itself."""

    grace_percent: int
    grace_hours: int | None


class Answer(StrEnum):
    FITS = "fits"
    """Within the limit."""
    OVER = "over"
    """Over the limit, within the hard one and in time."""
    TOO_MUCH = "too-much"
    """Over the hard limit."""
    TOO_LATE = "too-late"
    """Over the limit for longer than the grace time: it is the hard one now."""


@dataclass(frozen=True, slots=True)
class Terms:
    """One limit, its hard limit, and how long one may be between the two at a stretch; None: for good."""

    limit: float
    hard: float
    time: timedelta | None

    def ends(self, since: datetime | None) -> datetime | None:
        """When the grace that began at `since` is over."""
        return since + self.time if since is not None and self.time is not None else None

    def begins(self, *, before: float, after: float, since: datetime | None) -> bool:
        """Whether going from `before` to `after` begins a grace; `since`: when one began that has not been ended.

        One that was noted before use fell under the limit is over, whether or not somebody has seen that yet.
        """
        return self.time is not None and after > self.limit and (since is None or before <= self.limit)


def terms_of(quota: Limits, resource: str) -> Terms:
    limit = float(getattr(quota, resource))
    time = None if quota.grace_hours is None else timedelta(hours=quota.grace_hours)
    return Terms(limit, limit * (100 + quota.grace_percent) / 100, time)


def judge(terms: Terms, *, before: float, need: float, since: datetime | None, now: datetime) -> Answer:
    """What to say to `need` more where `before` is used; `since`: when the grace that runs began, if one does."""
    after = before + need
    if after <= terms.limit:
        return Answer.FITS
    if after > terms.hard:
        return Answer.TOO_MUCH
    ends = terms.ends(since) if before > terms.limit else None
    return Answer.TOO_LATE if ends is not None and now >= ends else Answer.OVER
