"""Who may hand out which role on what: administrators all, others what they hold there themselves."""

from django.db import models

from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_

from .actor import Actor
from .kinds import kind_of
from .models import Role
from .require import may, require


def ensure_may_hand_out(actor: Actor, role: Role, obj: models.Model | None) -> None:
    """Raise unless `actor` may give (and take) `role` on `obj`."""
    if may(actor, "system.manage"):
        return
    if obj is None:
        require(actor, "system.manage")
        return
    require(actor, f"{kind_of(obj).name}.manage", obj)
    beyond = [verb for verb in role.verbs if "*" in verb or not may(actor, verb, obj)]
    if beyond:
        raise Denied(
            N_("The role %(role)s holds rights that you do not have here (%(verbs)s)."),
            fix=N_("Ask an administrator to give it."),
            role=role.name,
            verbs=", ".join(beyond),
        )
