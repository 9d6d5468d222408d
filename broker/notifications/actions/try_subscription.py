"""Have a test sent to a subscription's target."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.notifications import rules
from broker.notifications.models import Subscription


@transaction.atomic
def try_subscription(*, actor: Actor, subscription: Subscription) -> Subscription:
    """The duty's next round sends it; whether it arrived is then shown. Raises Missing when it is not one's own."""
    rules.require_own(actor, subscription)
    rules.require_reading(actor)
    Subscription.objects.filter(pk=subscription.pk).update(test_asked=True, due_at=clock.now())
    record("notification.tested", actor=actor, subject=subscription, name=subscription.name,
           message=N_("A test of the subscription %(name)s was asked for"))  # fmt: skip
    subscription.test_asked = True
    return subscription
