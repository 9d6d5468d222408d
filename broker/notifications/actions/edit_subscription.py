"""Change a subscription, switch it off or on."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.notifications import rules
from broker.notifications.models import Subscription

_FIELDS = ("name", "way", "target", "kinds", "severity", "object_kind", "object_id")


@transaction.atomic
def edit_subscription(*, actor: Actor, subscription: Subscription, **values: Any) -> Subscription:
    """`values`: as create_subscription takes them, and `enabled`; those left out stay. An empty secret stays too.

    A new target begins anew: what failed at the old one is sent to it at once. Raises Missing, Denied or Invalid.
    """
    rules.require_own(actor, subscription)
    rules.require_reading(actor)
    row = Subscription.objects.select_for_update().get(pk=subscription.pk)
    if "enabled" in values:
        row.enabled = bool(values["enabled"])
        if row.enabled and not subscription.enabled:
            row.cursor, row.until = rules.newest(), None  # what happened meanwhile was not wanted
    if values.keys() - {"enabled"}:
        whole = {name: getattr(row, name) for name in _FIELDS} | {"secret": ""} | values
        for name, value in rules.checked(actor, whole).items():
            setattr(row, name, value)
    row.due_at, row.failures, row.error = clock.now(), 0, ""
    row.save()
    record("notification.changed", actor=actor, subject=row, name=row.name,
           message=N_("The subscription %(name)s was changed"))  # fmt: skip
    return row
