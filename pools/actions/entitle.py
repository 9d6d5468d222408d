"""Let a user or a group take desktops of a pool, or of a meta-pool."""

from broker.access.actions.grant import grant
from broker.access.actor import Actor
from broker.access.models import Grant, Role
from broker.access.require import require
from broker.directories.models import Group, User
from pools.models import MetaPool, Pool

ROLE = "pool-user"


def entitle(*, actor: Actor, pool: Pool | MetaPool, user: User | None = None, group: Group | None = None) -> Grant:
    """Give exactly one of `user` and `group` the role of pool user; returns the grant.

    Raises Missing, Denied, Invalid, or Conflict when it has the role already.
    """
    require(actor, f"{pool.access_kind}.manage", pool)
    return grant(actor=actor, role=Role.objects.get(name=ROLE), user=user, group=group, obj=pool)
