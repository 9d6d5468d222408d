"""Limit somebody no more."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.models import Quota
from broker.access.quota_values import require_over_quota
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def delete_quota(*, actor: Actor, quota: Quota) -> None:
    """Raises Missing or Denied."""
    require_over_quota(actor, quota.cluster)
    pk = quota.pk
    record("quota.deleted", actor=actor, subject=quota, message=N_("The quota of %(whose)s was removed"), whose=quota)
    quota.delete()
    publish("quota", pk, "deleted")
