"""End a subscription."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.notifications import rules
from broker.notifications.models import Subscription


@transaction.atomic
def delete_subscription(*, actor: Actor, subscription: Subscription) -> None:
    """Raises Missing when it is not one's own."""
    rules.require_own(actor, subscription)
    record("notification.unsubscribed", actor=actor, subject=subscription, name=subscription.name,
           message=N_("The subscription %(name)s was removed"))  # fmt: skip
    Subscription.objects.filter(pk=subscription.pk).delete()
