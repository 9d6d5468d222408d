"""What somebody of a directory would get here, before they have ever signed in: for the preview's page and API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor, Held
from broker.access.kinds import KINDS
from broker.access.models import Grant
from broker.access.require import visible_to
from broker.core.errors import BerthError
from broker.directories.models import Directory, Group, User
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Pool
from portal.middleware import sentence

MOST = 50
WARNINGS = {
    "plain": gettext_lazy("Passwords cross the network in clear. Use ldaps:// or StartTLS."),
    "public": gettext_lazy("The client has no secret: the provider has to take it for a public one."),
    "over": gettext_lazy("Its certificates are over. Their keys still count; ask the provider whether others are due."),
    "rc4": gettext_lazy("The keytab has a key of RC4, which is broken before long. Have one made with AES."),
    "anonymous": gettext_lazy("Berth reads the directory without signing in to it."),
}
PROBLEMS = {
    "unusable": gettext_lazy("It lacks an attribute that is needed: the id or the name."),
    "ambiguous": gettext_lazy("Several entries answer to this name; nobody is signed in by it."),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role the user would have: on what, and by which group ("" for the user's own)."""

    title: str
    on: str
    group: str


@dataclass(frozen=True, slots=True)
class Yield:
    """What the named user would get. `taken`: the directory whose user has the name already."""

    taken: str = ""
    roles: Sequence[Role] = ()
    pools: Sequence[str] = ()
    machines: Sequence[str] = ()
    desktops: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A preview as plain data. `named` None: nobody was asked about."""

    bound: bool
    server: str
    cause: str
    fix: str
    warnings: Sequence[str]
    users: Sequence[dict[str, Any]]
    user_count: int
    groups: Sequence[dict[str, Any]]
    group_count: int
    named: dict[str, Any] | None
    gets: Yield = field(default_factory=Yield)
    facts: Sequence[dict[str, str]] = ()
    """What a provider says of itself, which tells of nobody before they sign in."""
    keys: Sequence[dict[str, Any]] = ()
    tickets: Sequence[dict[str, str]] = ()
    """Kerberos: the keys of the keytab, and whose ticket would be let in as whom ("" for nobody)."""


def told(preview: Any, directory: Directory | None) -> Told:
    """`preview` as a kind gives it; `directory` is the row it is of, None for one that is not saved yet."""
    named = preview.named
    return Told(
        bound=preview.bound,
        server=preview.server,
        cause=_sentence(preview.error, "template"),
        fix=_sentence(preview.error, "fix_template"),
        warnings=[str(WARNINGS.get(name, name)) for name in preview.warnings],
        users=[_candidate(one) for one in preview.users],
        user_count=preview.user_count,
        groups=[_candidate(one) for one in preview.groups],
        group_count=preview.group_count,
        named=_named(named) if named else None,
        gets=_yield(named, directory) if named and named.found and not named.problem else Yield(),
        facts=[{"name": _(name), "value": value} for name, value in getattr(preview, "facts", ())],
        keys=[
            {"principal": key.principal, "number": key.number, "cipher": key.cipher_name}
            for key in getattr(preview, "keys", ())
        ],
        tickets=[
            {"principal": ticket.principal, "username": ticket.username} for ticket in getattr(preview, "tickets", ())
        ],
    )


def _sentence(error: BerthError | None, part: str) -> str:
    return sentence(getattr(error, part), error.params) if error else ""


def _candidate(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "display_name": one.display_name,
        "disabled": one.disabled,
        "problem": str(PROBLEMS.get(one.problem, one.problem)),
    }


def _named(named: Any) -> dict[str, Any]:
    return {
        "username": named.username,
        "found": named.found,
        "problem": str(PROBLEMS.get(named.problem, named.problem)),
        "display_name": named.display_name,
        "email": named.email,
        "disabled": named.disabled,
        "groups": [group.name for group in named.groups],
        "principal": named.principal,
    }


def _yield(named: Any, directory: Directory | None) -> Yield:
    other = User.objects.filter(username__iexact=named.username).select_related("directory").first()
    user = None
    if directory is not None:
        user = User.objects.filter(directory=directory, external_id=named.external_id).first()
    taken = other.directory.name if other and (user is None or other.pk != user.pk) else ""
    groups = Group.objects.filter(directory=directory, external_id__in=[group.id for group in named.groups])
    ids = set(groups.values_list("pk", flat=True)) if directory is not None else set()
    who = Q(group__in=ids)
    if user is not None:
        # What the directory says now counts, and beside it what was set by hand.
        who |= Q(user=user) | Q(group__memberships__user=user, group__memberships__by_hand=True)
    grants = list(Grant.objects.filter(who).select_related("role", "group").distinct().order_by("created_at"))
    held = tuple(Held(tuple(grant.role.verbs), grant.object_kind, grant.object_id) for grant in grants)
    # An actor with the rights as they would be: nobody is written down for it.
    actor = Actor(user=user or User(username=named.username), name=named.username, _cache={"grants": held})
    names = _object_names(grants)
    return Yield(
        taken=taken,
        roles=[
            Role(
                _(grant.role.title),
                names.get((grant.object_kind, grant.object_id), "–") if grant.object_id else _("everything"),
                grant.group.name if grant.group else "",
            )
            for grant in grants[:MOST]
        ],
        pools=[str(pool) for pool in visible_to(actor, Pool, "pool.use")[:MOST]],
        machines=[str(vm.title or vm.name) for vm in _machines(actor, user)],
        desktops=[str(one) for one in Desktop.objects.filter(holder=user).select_related("vm")[:MOST]] if user else [],
    )


def _machines(actor: Actor, user: User | None) -> Any:
    """Those granted one by one; the desktops of a pool are another line."""
    return visible_to(actor, VirtualMachine, "vm.use").filter(desktop__isnull=True)[:MOST]


def _object_names(grants: Sequence[Grant]) -> dict[tuple[str, Any], str]:
    """What the grants are on, by name: one query a kind of object."""
    wanted: dict[str, set[Any]] = {}
    for grant in grants:
        if grant.object_id and grant.object_kind in KINDS:
            wanted.setdefault(grant.object_kind, set()).add(grant.object_id)
    return {
        (kind, pk): str(row)
        for kind, pks in wanted.items()
        for pk, row in KINDS.get(kind).model._default_manager.in_bulk(pks).items()
    }
