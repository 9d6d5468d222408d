"""Take a grant away."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.access.handing_out import ensure_may_hand_out
from broker.access.kinds import KINDS
from broker.access.models import Grant
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def revoke(*, actor: Actor, grant: Grant) -> None:
    """Remove the grant; open consoles that depended on it end shortly after.

    Raises Denied, or Conflict when nobody could administer Berth afterwards.
    """
    obj = None
    if grant.object_kind != "system":
        obj = KINDS.get(grant.object_kind).model._default_manager.filter(pk=grant.object_id).first()
    ensure_may_hand_out(actor, grant.role, obj)
    who, role, grant_id = grant.user or grant.group, grant.role.name, grant.pk
    system_wide = grant.object_kind == "system"
    grant.delete()
    if system_wide:
        ensure_one_is_left()
    record(
        "grant.revoked",
        actor=actor,
        subject=obj if obj is not None else who,
        message=N_("The role %(role)s on %(what)s was taken from %(who)s"),
        who=who,
        role=role,
        what=obj if obj is not None else ("system" if system_wide else grant.object_kind),
    )
    publish("grant", grant_id, "deleted")
