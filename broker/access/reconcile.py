"""Duty: begin, end and tell the graces of quotas by what is used now, for use also changes without a claim.

A limit is lowered, a machine is shut down from inside: nobody asks `claim` then. It takes no locks, which claims wait
for: an end compares the beginning it saw, so that one which a claim noted meanwhile stays.
"""

from broker.core import clock

from . import overruns
from .actor import Actor
from .grace import terms_of
from .models import Quota, QuotaOverrun
from .quota import Amount
from .resources import RESOURCES
from .usage import shares


def watch_graces() -> int:
    """Returns how many graces began, ended or ran out."""
    timed = Quota.objects.exclude(mode=Quota.Mode.OFF).filter(grace_hours__isnull=False)
    quotas = list(timed.select_related("user", "group", "cluster"))
    QuotaOverrun.objects.exclude(quota__in=[quota.pk for quota in quotas]).delete()
    if not quotas:
        return 0
    used, now, actor = shares(quotas), clock.now(), Actor.system("quotas")
    noted = {(row.quota_id, row.resource, row.user_id): row for row in _rows()}
    changes = 0
    for quota in quotas:
        for user, amount in used[quota.pk].items():
            for resource in _exceeded(quota, amount):
                if (quota.pk, resource, user) not in noted:
                    overruns.begin(quota, resource, user, used=amount.of(resource), now=now, actor=actor)
                    changes += 1
    for (quota_id, resource, user), row in noted.items():
        amount = used[quota_id].get(user, Amount())
        if resource not in _exceeded(row.quota, amount):
            changes += overruns.end(row, actor=actor)
        elif not row.told and (ends := terms_of(row.quota, resource).ends(row.since)) and now >= ends:
            changes += overruns.tell_late(row, actor=actor)
    return changes


def _rows() -> list[QuotaOverrun]:
    return list(QuotaOverrun.objects.select_related("quota__user", "quota__group", "quota__cluster"))


def _exceeded(quota: Quota, amount: Amount) -> set[str]:
    return {
        name for name in RESOURCES if (limit := getattr(quota, name)) is not None and amount.of(name) > float(limit)
    }
