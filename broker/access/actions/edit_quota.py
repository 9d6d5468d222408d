"""Change what a quota limits."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.models import Quota
from broker.access.quota_values import checked, ensure_sound, require_over_quota, said
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def edit_quota(*, actor: Actor, quota: Quota, **settings: Any) -> Quota:
    """Write the settings given (see create_quota); returns the quota. Whoever is over it now keeps what they have.

    Raises Missing, Denied or Invalid.
    """
    require_over_quota(actor, quota.cluster)
    values = checked(**settings)
    # Locked like a claim's: one that is being decided is decided by the limits it saw.
    quota = Quota.objects.select_for_update(of=("self",), no_key=True).get(pk=quota.pk)
    for name, value in values.items():
        setattr(quota, name, value)
    ensure_sound(quota)
    quota.save(update_fields=[*values] or None)
    record(
        "quota.changed", actor=actor, subject=quota, message=N_("The quota of %(whose)s is now: %(limits)s"),
        whose=quota, limits=said(quota),
    )  # fmt: skip
    publish("quota", quota.pk, "changed")
    return quota
