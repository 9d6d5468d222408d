"""Change what a role of one's own may do. Builtin roles stay as they are."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.access.handing_out import ensure_within_own
from broker.access.models import Role
from broker.access.require import require
from broker.access.roles import ensure_own
from broker.access.verbs import checked_verbs
from broker.core.text import gettext_noop as N_
from broker.events.record import record


@transaction.atomic
def edit_role(*, actor: Actor, role: Role, title: str | None = None, verbs: list[str] | None = None) -> Role:
    """Returns the role; it changes at once for everybody who holds it.

    Raises Denied (also when it holds, or is to hold, rights that the actor does not have), Invalid, or Conflict: a
    builtin role, or no administrator would be left.
    """
    require(actor, "system.manage")
    ensure_own(role)
    ensure_within_own(actor, [*role.verbs, *(checked_verbs(verbs) if verbs is not None else ())], None, role=role.name)
    if title is not None:
        role.title = title
    if verbs is not None:
        role.verbs = checked_verbs(verbs)
    role.save(update_fields=["title", "verbs"])
    ensure_one_is_left()
    record(
        "role.changed", actor=actor, subject=role, message=N_("Role %(name)s was changed: %(verbs)s"),
        name=role.name, verbs=", ".join(role.verbs),
    )  # fmt: skip
    return role
