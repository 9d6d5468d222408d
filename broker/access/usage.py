"""How much of quotas is used, and how long what is over them may stay so: for pages, API and the duty."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from .grace import terms_of
from .models import Quota, QuotaOverrun
from .quota import Amount, members_paying, meter
from .resources import RESOURCES

Shares = Mapping[UUID | None, Amount]


@dataclass(frozen=True, slots=True)
class Use:
    """One limit of a quota and how much of it is used; `by` names the member who uses most, for a quota of each.

    `grace_ends_at`: it is over the limit, within the hard one, and nothing more is given from then on.
    """

    resource: str
    used: float
    limit: int
    by: UUID | None = None
    grace_ends_at: datetime | None = None

    @property
    def percent(self) -> int:
        if not self.limit:
            return 100 if self.used else 0
        return round(100 * self.used / self.limit)


def uses(quotas: Iterable[Quota], *, of: UUID | None = None) -> dict[UUID, list[Use]]:
    """For each quota its limits with their use: a fixed number of queries, whatever the number of quotas.

    `of`: this user's own share of quotas of each member, instead of that of whoever uses most.
    """
    quotas = list(quotas)
    since = _since(quotas)
    return {pk: _uses(quota, amounts, since, of) for pk, (quota, amounts) in _with_shares(quotas).items()}


def shares(quotas: Iterable[Quota]) -> dict[UUID, Shares]:
    """For each quota what is used of it: by user for a quota of each member, else all under None."""
    return {pk: amounts for pk, (_quota, amounts) in _with_shares(list(quotas)).items()}


def _with_shares(quotas: list[Quota]) -> dict[UUID, tuple[Quota, Shares]]:
    if not quotas:
        return {}
    table = meter().by_person()
    groups = {quota.group_id for quota in quotas if quota.group_id}
    members = members_paying(groups, {person for person, _cluster in table if person is not None})
    return {quota.pk: (quota, _shares(quota, table, members.get(quota.group_id, set()))) for quota in quotas}


def _shares(quota: Quota, table: Mapping[tuple[UUID | None, UUID], Amount], members: set[UUID]) -> Shares:
    found: dict[UUID | None, Amount] = {}
    for (person, cluster), amount in table.items():
        if quota.cluster_id and cluster != quota.cluster_id:
            continue
        if (quota.user_id and person != quota.user_id) or (quota.group_id and person not in members):
            continue
        key = person if quota.each else None
        found[key] = found.get(key, Amount()) + amount
    return found


def _since(quotas: list[Quota]) -> dict[tuple[UUID, str, UUID | None], datetime]:
    timed = [quota.pk for quota in quotas if quota.grace_hours is not None]
    rows: Any = QuotaOverrun.objects.filter(quota__in=timed) if timed else QuotaOverrun.objects.none()
    return {(row.quota_id, row.resource, row.user_id): row.since for row in rows}


def _uses(
    quota: Quota, amounts: Shares, since: Mapping[tuple[UUID, str, UUID | None], datetime], of: UUID | None
) -> list[Use]:
    if quota.each and of is not None:
        amounts = {of: amounts.get(of, Amount())}
    found = []
    for name in RESOURCES:
        if getattr(quota, name) is None:
            continue
        by, most = max(amounts.items(), key=lambda one: one[1].of(name), default=(None, Amount()))
        used, terms = most.of(name), terms_of(quota, name)
        ends = terms.ends(since.get((quota.pk, name, by))) if terms.limit < used <= terms.hard else None
        found.append(Use(name, used, getattr(quota, name), by if quota.each else None, ends))
    return found
