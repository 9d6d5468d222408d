"""Write down whom the directory vouches for: known by their id, called what the directory calls them now."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import CharField, Q
from django.db.models.functions import Upper
from django.db.models.lookups import Exact

from broker import sql
from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, Group, Membership, User
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement, each, several

from .found import GroupFound, Person

Look = Callable[[str], Person | None]
"""Asks the directory for the entry with an external id, now."""


@lru_cache(maxsize=64)
def _groups(count: int) -> Statement:
    """Those among so many ids of groups that are known."""
    ids = several("id", count, CharField())
    return Statement(lambda: Group.objects.filter(directory=Given("directory"), external_id__in=ids).order_by())


def _text(name: str) -> Given:
    return Given(name, CharField())


_NAMED = Statement(
    lambda: User.objects.filter(
        Q(directory=Given("directory"), external_id=_text("id")) | Q(Exact(Upper("username"), Upper(_text("name"))))
    ).order_by()
)
_SAID = Statement(
    lambda: (
        Membership.objects.filter(user=Given("user"), group__directory=Given("directory"), from_directory=True)
        .order_by()
        .values_list("group__external_id")
    )
)
_PRESENT = Statement(
    lambda: Membership.objects.filter(user=Given("user"), group__directory=Given("directory")).order_by()
)


def take_in(directory: Directory, person: Person, groups: Iterable[GroupFound], look: Look) -> User:
    """The user's row, made or brought up to date, with exactly these groups of the directory; writes only changes.

    Whoever has the same name with another id is another person: renamed meanwhile, gone, or kept elsewhere. Raises
    Conflict when the name is somebody else's who is still there.
    """
    groups = list(groups)
    # Nearly always there is nothing to write, and no transaction is needed to see that.
    found: list[User] = _NAMED.objects(directory=directory.pk, id=person.id, name=person.username)
    if len(found) == 1 and (found[0].directory_id, found[0].external_id) == (directory.pk, person.id):
        said = _SAID.rows(user=found[0].pk, directory=directory.pk)
        if {id for (id,) in said} == {group.id for group in groups} and not copy(person, found[0]):
            return found[0]
    return _write_down(directory, person, groups, look)


@transaction.atomic
def _write_down(directory: Directory, person: Person, groups: Iterable[GroupFound], look: Look) -> User:
    found: list[User] = _NAMED.objects(directory=directory.pk, id=person.id, name=person.username)
    user = next((row for row in found if (row.directory_id, row.external_id) == (directory.pk, person.id)), None)
    for holder in found:
        if holder is not user:
            make_room(directory, person, holder, look)
    actor = Actor.system(f"directory {directory.name}")
    new = user is None
    if user is None:
        user = User(directory=directory, external_id=person.id, password=make_password(None), created_at=clock.now())
        copy(person, user)
        sql.add(user)
        record("user.created", actor=actor, subject=user, message=N_("User %(name)s was made"), name=user)
        publish("user", user.pk, "created")
    elif changed := copy(person, user):
        user.save(update_fields=changed)
        publish("user", user.pk)
    join(directory, user, groups, new=new)
    return user


def copy(person: Person, user: User) -> list[str]:
    """Put what the directory says into the row (unsaved); returns the names of the columns that changed.

    Who may not sign in any more gets a new unusable password: with it end all sign-ins, also for the time after.
    """
    wanted: dict[str, Any] = {"username": person.username, "display_name": person.display_name, "email": person.email}
    if not person.may_sign_in and user.is_active:
        wanted |= {"is_active": False, "disabled_in_directory": True, "password": make_password(None)}
    elif person.may_sign_in and user.disabled_in_directory:
        wanted |= {"is_active": True, "disabled_in_directory": False}
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, wanted[name])
    return changed


def parked(user: User) -> str:
    """A name for somebody whose name was given to somebody else; no user name that can be typed in has a ~."""
    return f"{user.username.partition('~')[0][:130]}~{user.pk.hex[:12]}"


def make_room(directory: Directory, person: Person, holder: User, look: Look) -> None:
    """Have the row that has the person's name give it up, or raise Conflict."""
    taken = Conflict(
        N_("There is another user called %(name)s, in %(directory)s."),
        fix=N_("An administrator has to rename one of the two."),
        rule="directory.name",
        name=person.username,
        directory=holder.directory.name,
    )
    if holder.directory_id != directory.pk or not holder.external_id:
        raise taken
    present = look(holder.external_id)
    if present is not None and present.username.lower() == person.username.lower():
        raise taken
    changes = ["username"]
    if present is None:
        changes += retire(holder)
    holder.username = parked(holder)
    holder.save(update_fields=changes)
    publish("user", holder.pk)


def retire(user: User) -> list[str]:
    """Put into the row (unsaved) that the directory has this user no more; returns the columns that changed."""
    if not user.is_active:
        return []
    user.is_active, user.disabled_in_directory, user.password = False, True, make_password(None)
    return ["is_active", "disabled_in_directory", "password"]


def join(directory: Directory, user: User, groups: Iterable[GroupFound], *, new: bool) -> None:
    """Have the user in exactly these groups as far as the directory's word goes; what was set by hand stays.

    A `new` user's row was made in this transaction: it is in no group yet.
    """
    wanted = {group.id: group for group in groups}
    said = () if new else _SAID.rows(user=user.pk, directory=directory.pk)
    if {id for (id,) in said} == set(wanted):
        return
    found = _groups(len(wanted)).objects(directory=directory.pk, **each("id", wanted)) if wanted else ()
    rows: dict[str, Group] = {group.external_id: group for group in found}
    for id, group in wanted.items():
        if id not in rows:
            rows[id] = Group.objects.create(directory=directory, external_id=id, name=free_name(directory, group))
            publish("group", rows[id].pk, "created")
    memberships = () if new else _PRESENT.objects(user=user.pk, directory=directory.pk)
    present: dict[Any, Membership] = {row.group_id: row for row in memberships}
    groups_now = {row.pk for row in rows.values()}
    for group_id in groups_now - {id for id, row in present.items() if row.from_directory}:
        if group_id in present:
            Membership.objects.filter(pk=present[group_id].pk).update(from_directory=True)
        else:  # when somebody else is faster, take_in() is called anew
            sql.add(Membership(user=user, group_id=group_id, from_directory=True, by_hand=False))
        publish("group", group_id)
    gone = [row for id, row in present.items() if row.from_directory and id not in groups_now]
    if not gone:
        return
    Membership.objects.filter(pk__in=[row.pk for row in gone if row.by_hand]).update(from_directory=False)
    Membership.objects.filter(pk__in=[row.pk for row in gone if not row.by_hand]).delete()
    for row in gone:
        publish("group", row.group_id)


def free_name(directory: Directory, group: GroupFound) -> str:
    """The group's name, told apart by its id when another group of the directory has it."""
    name = group.name[:255] or group.id
    if Group.objects.filter(directory=directory, name=name).exclude(external_id=group.id).exists():
        return f"{name[:200]} ({group.id[:50]})"
    return name
