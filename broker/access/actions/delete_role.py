"""Remove a role of one's own that nobody holds."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.handing_out import ensure_within_own
from broker.access.models import Role
from broker.access.require import require
from broker.access.roles import ensure_own
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record


@transaction.atomic
def delete_role(*, actor: Actor, role: Role) -> None:
    """Raises Denied, or Conflict for a builtin role or one that is granted to somebody."""
    require(actor, "system.manage")
    ensure_own(role)
    ensure_within_own(actor, role.verbs, None, role=role.name)
    if holders := role.grants.count():
        raise Conflict(
            N_("The role %(name)s is granted %(count)s times."),
            rule="role.unused",
            fix=N_("Take those grants away first."),
            name=role.name,
            count=holders,
        )
    record("role.deleted", actor=actor, subject=role, message=N_("Role %(name)s was removed"), name=role.name)
    role.delete()
