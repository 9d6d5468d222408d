"""Have events told by mail or webhook."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, require_within
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.notifications import rules
from broker.notifications.models import Subscription


@transaction.atomic
def create_subscription(
    *, actor: Actor, name: str, way: str, target: str, kinds: Iterable[str] = (), severity: str = "warning",
    object_kind: str = "", object_id: Any = None, secret: str = "", site: bool = False,
) -> Subscription:  # fmt: skip
    """`site`: it is nobody's own, and goes on whoever leaves. What happened before is not told.

    Raises Denied, Invalid, or Conflict (no mail is set up, or there are too many).
    """
    rules.require_reading(actor)
    require_within(actor)
    if site or actor.user is None:
        require(actor, "system.manage")
    values = rules.checked(actor, {
        "name": name, "way": way, "target": target, "kinds": kinds, "severity": severity, "object_kind": object_kind,
        "object_id": object_id, "secret": secret,
    })  # fmt: skip
    owner = None if site or actor.user is None else actor.user.pk
    if Subscription.objects.filter(owner=owner).count() >= rules.MOST_EACH:
        raise Conflict(
            N_("There are %(most)s subscriptions already."), rule="notifications.most", fix=N_("Remove some of them."),
            most=rules.MOST_EACH,
        )  # fmt: skip
    row = Subscription.objects.create(owner_id=owner, cursor=rules.newest(), **values)
    record("notification.subscribed", actor=actor, subject=row, name=row.name, target=row.target,
           message=N_("Events are told to %(target)s (%(name)s)"))  # fmt: skip
    return row
