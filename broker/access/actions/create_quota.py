"""Limit what a user, a group or a cluster may use."""

from typing import Any

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.models import Quota
from broker.access.quota_values import checked, ensure_sound, require_over_quota, said
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def create_quota(
    *, actor: Actor, user: Any = None, group: Any = None, cluster: Any = None, each: bool = False, **settings: Any
) -> Quota:
    """Returns the quota. At most one of `user` and `group`; with `cluster` it counts there alone, or is the cluster's.

    `each`: for every member of the group by themselves. `settings`: the limits (vcpus, memory_mib, disk_gib,
    machines, running), mode, threshold_percent, grace_percent and grace_hours. Whoever uses more already keeps it.
    Raises Missing, Denied, Invalid, or Conflict when there is one for the same already.
    """
    require_over_quota(actor, cluster)
    if user is not None and group is not None:
        raise Invalid(N_("A quota is for a user or for a group."), field="group", fix=N_("Choose one of the two."))
    if user is None and group is None and cluster is None:
        raise Invalid(
            N_("Whose quota is this?"), field="user", fix=N_("Choose a user, a group or a cluster.")
        )  # fmt: skip
    if each and group is None:
        raise Invalid(N_("Only a group has members."), field="each", fix=N_("Choose a group, or leave this off."))
    quota = Quota(user=user, group=group, cluster=cluster, each=bool(each), **checked(**settings))
    ensure_sound(quota)
    try:
        with transaction.atomic():
            quota.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            N_("There is a quota of %(whose)s already."),
            rule="quota.once",
            fix=N_("Change that one."),
            whose=str(quota),
        ) from None
    record(
        "quota.created", actor=actor, subject=quota, message=N_("A quota was set for %(whose)s: %(limits)s"),
        whose=quota, limits=said(quota),
    )  # fmt: skip
    publish("quota", quota.pk, "created")
    return quota
