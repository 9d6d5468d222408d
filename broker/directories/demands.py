"""Who has to have a second factor and has none: their sign-ins are not good, however long ago they were made.

A second factor that is set up ends the sign-ins made without it (User.get_session_auth_hash), so whoever has one has
passed it, and only those who have none are looked at. Who showed one to their provider, where that counts, has one.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from broker.access.actor import Actor
from broker.access.models import Grant, Role

from .models import Directory, User
from .second_factor import demanded


def lacks(user: User, actor: Actor) -> bool:
    """Whether a second factor is demanded of the user (who is `actor`) and there is none.

    Reads the actor's grants and the user's directory, as far as they are not read yet. Guests can have none.
    """
    none = user.second_factor_at is None and not user.factor_elsewhere
    return none and user.directory.kind != "guest" and demanded(user, actor)


def lacking(users: Iterable[User]) -> set[UUID]:
    """Ids of those for whom `lacks` is true: one query, or none when all have one."""
    ids = {user.pk for user in users if user.second_factor_at is None and not user.factor_elsewhere}
    if not ids:
        return set()
    held = Grant.objects.filter(Q(user=OuterRef("pk")) | Q(group__members=OuterRef("pk")), role__second_factor=True)
    rows = _without().filter(Q(directory__second_factor=True) | Exists(held), pk__in=ids)
    return set(rows.values_list("pk", flat=True))


def hit_by(demand: Role | Directory) -> "QuerySet[User]":
    """The active people whom a demand for the role or the directory hits: they would have to set one up."""
    rows = _without().filter(is_active=True)
    if isinstance(demand, Directory):
        return rows.filter(directory=demand)
    held = Grant.objects.filter(Q(user=OuterRef("pk")) | Q(group__members=OuterRef("pk")), role=demand)
    return rows.filter(Exists(held))


def _without() -> "QuerySet[User]":
    return (
        User.objects.filter(second_factor_at=None, factor_elsewhere=False).exclude(directory__kind="guest").order_by()
    )
