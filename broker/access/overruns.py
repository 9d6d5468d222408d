"""Since when limits with a grace time are exceeded: the rows, and the events at their beginning and end."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from broker import sql
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import ActorLike, record

from .grace import terms_of
from .models import Quota, QuotaOverrun
from .resources import RESOURCES, number


def since(quotas: Iterable[Quota], payer: UUID | None) -> Mapping[tuple[UUID, str], datetime]:
    """When the graces that were noted began, by quota and resource; of each member's quotas that of `payer`."""
    timed = [quota.pk for quota in quotas if quota.grace_hours is not None]
    if not timed:
        return {}
    rows = QuotaOverrun.objects.filter(Q(user=None) | Q(user=payer), quota__in=timed)
    return {(quota, resource): began for quota, resource, began in rows.values_list("quota_id", "resource", "since")}


def begin(quota: Quota, resource: str, user: UUID | None, *, used: float, now: datetime, actor: ActorLike) -> None:
    """Note that the limit is exceeded from `now` on; one noted before begins anew."""
    again = QuotaOverrun.objects.filter(quota=quota, resource=resource, user=user).update(since=now, told=False)
    if not again:
        sql.add_unless_there(QuotaOverrun(quota=quota, resource=resource, user_id=user, since=now))
    _tell(
        "quota.grace-began", quota, resource, actor, user,
        N_("%(whose)s uses %(used)s of %(limit)s %(what)s: allowed for %(hours)s hours, until %(ends)s"),
        used=number(used), hours=quota.grace_hours, ends=_said(terms_of(quota, resource).ends(now)),
    )  # fmt: skip


def end(row: QuotaOverrun, *, actor: ActorLike) -> bool:
    """Note that use is back within the limit, unless a new grace began meanwhile; returns whether it did end."""
    ended, _ = QuotaOverrun.objects.filter(pk=row.pk, since=row.since).delete()
    if ended:
        message = N_("%(whose)s is back within %(limit)s %(what)s")
        _tell("quota.grace-ended", row.quota, row.resource, actor, row.user_id, message)
    return bool(ended)


def tell_late(row: QuotaOverrun, *, actor: ActorLike) -> bool:
    """Record, once, that the time is up; returns whether it was recorded now."""
    if not QuotaOverrun.objects.filter(pk=row.pk, since=row.since, told=False).update(told=True):
        return False
    message = N_("%(whose)s was over %(limit)s %(what)s for longer than %(hours)s hours, and gets no more")
    if row.quota.mode == Quota.Mode.AUDIT:
        message = N_("%(whose)s was over %(limit)s %(what)s for longer than %(hours)s hours; it is only watched")
    _tell(
        "quota.grace-over", row.quota, row.resource, actor, row.user_id, message, hours=row.quota.grace_hours
    )  # fmt: skip
    return True


def _tell(
    kind: str, quota: Quota, resource: str, actor: ActorLike, user: UUID | None, message: str, **words: Any
) -> None:
    record(
        kind, actor=actor, subject=quota, severity="info" if kind == "quota.grace-ended" else "warning",
        message=message, whose=_whose(quota, user), limit=number(getattr(quota, resource)), what=RESOURCES[resource],
        **words,
    )  # fmt: skip
    publish("quota", quota.pk)


def _whose(quota: Quota, user: UUID | None) -> str:
    """For a quota of each member, whose of them."""
    if user is None:
        return str(quota)
    name = type(quota)._meta.get_field("user").related_model._default_manager.filter(pk=user).first()  # type: ignore[union-attr]
    return f"{name} ({quota})"


def _said(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""
