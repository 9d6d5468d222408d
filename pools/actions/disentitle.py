"""No longer let a user or a group take desktops of a pool, or of a meta-pool."""

from django.db import transaction

from broker.access.actions.revoke import revoke
from broker.access.actor import Actor
from broker.access.models import Grant
from broker.access.require import require
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group, User
from pools.models import MetaPool, Pool

from .entitle import ROLE


@transaction.atomic
def disentitle(*, actor: Actor, pool: Pool | MetaPool, user: User | None = None, group: Group | None = None) -> None:
    """Take the role of pool user from `user` or `group`. A desktop somebody has already stays theirs.

    Raises Missing (also when there is no such entitlement) or Denied.
    """
    require(actor, f"{pool.access_kind}.manage", pool)
    row = Grant.objects.filter(
        role__name=ROLE, object_kind=pool.access_kind, object_id=pool.pk, user=user, group=group
    ).first()  # fmt: skip
    if row is None:
        raise Missing(
            N_("%(who)s has no entitlement of its own to %(pool)s."),
            fix=N_("It may come from a group, or from a role on the cluster."),
            who=str(user or group),
            pool=str(pool),
        )
    revoke(actor=actor, grant=row)
