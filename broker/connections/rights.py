"""The right to use machines, for many users and machines at once: what `access.require.may` says one by one.

A gateway asks every ten seconds for all its consoles; asking one by one would be a query for each.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from broker.access.kinds import kind_of
from broker.access.models import Grant
from broker.access.roles import covers
from broker.virt.models import VirtualMachine

if TYPE_CHECKING:
    from broker.directories.models import User

VERB, SERIAL_VERB = "vm.use", "vm.serial"


def entitled(pairs: Iterable[tuple["User", UUID]], verb: str = VERB) -> set[tuple[UUID, UUID]]:
    """Of (user, machine id) pairs, those (user id, machine id) with the right. Three queries, however many pairs."""
    wanted = [(user, vm) for user, vm in pairs if user.is_active]
    kind = kind_of(VirtualMachine)
    paths = {**kind.parents, **({"(owner)": kind.owner} if kind.owner else {})}
    places: dict[UUID, dict[str, Any]] = {
        row["pk"]: {name: row[path] for name, path in paths.items()}
        for row in VirtualMachine.objects.filter(pk__in={vm for _, vm in wanted}).values("pk", *set(paths.values()))
    }
    held = _held({user.pk for user, _ in wanted}, verb)
    return {
        (user.pk, vm)
        for user, vm in wanted
        if vm in places and _may(held[user.pk], user.pk, vm, places[vm], owner_may=verb in kind.owner_verbs)
    }


def _held(users: set[UUID], verb: str) -> dict[UUID, set[tuple[str, UUID | None]]]:
    held: dict[UUID, set[tuple[str, UUID | None]]] = defaultdict(set)
    columns = ("role__verbs", "object_kind", "object_id")
    own = Grant.objects.filter(user__in=users).values_list("user_id", *columns)
    through_group = Grant.objects.filter(group__members__in=users).values_list("group__members", *columns)
    for rows in (own, through_group):
        for user, verbs, object_kind, object_id in rows:
            if covers(list(verbs), verb):
                held[user].add((object_kind, object_id))
    return held


def _may(held: set[tuple[str, UUID | None]], user: UUID, vm: UUID, place: dict[str, Any], *, owner_may: bool) -> bool:
    if ("system", None) in held or ("vm", vm) in held:
        return True
    if owner_may and place.get("(owner)") == user:
        return True
    return any((kind, place[kind]) in held for kind in place if kind != "(owner)" and place[kind] is not None)
