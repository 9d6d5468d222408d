"""Who could let everybody else back in: the people who may manage the system."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .models import Role
from .roles import covers

MANAGE = "system.manage"


def administrators() -> QuerySet[Any]:
    """Active users with `system.manage` on the whole system, given to them or to a group of theirs."""
    roles = [role.pk for role in Role.objects.all() if covers(role.verbs, MANAGE)]
    direct = Q(grants__role__in=roles, grants__object_kind="system")
    by_group = Q(directory_groups__grants__role__in=roles, directory_groups__grants__object_kind="system")
    return get_user_model()._default_manager.filter(direct | by_group, is_active=True).distinct()


def ensure_one_is_left() -> None:
    """For the end of an action that takes rights away, in its transaction. Raises Conflict when it took the last."""
    if not administrators().exists():
        raise Conflict(
            N_("Nobody could administer Berth after that."),
            rule="access.last-administrator",
            fix=N_("Make somebody else an administrator first."),
        )
