"""Bring the rows of users and groups in step with what was read: compares in memory, writes only what differs.

Each batch is a transaction of its own, so that nobody waits for thousands of rows; one that is cut off is finished by
the next look. What would vanish in unlikely numbers is held back until an administrator says that it is meant.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.directories.found import GroupFound, Person
from broker.directories.models import Directory, Group, Membership, User
from broker.directories.people import parked
from broker.events.news import publish
from broker.events.record import record

from .roster import Roster

T = TypeVar("T")
BATCH = 500
FEW = 5
"""So many may always go at once."""
LIKELY_USERS, LIKELY_MEMBERSHIPS = 0.2, 0.5
"""Beyond that, this part of all; more is held back."""


@dataclass
class Outcome:
    """What was written, and what was not: `held` removals, `refused` user names that are somebody else's."""

    created: int = 0
    changed: int = 0
    disabled: int = 0
    enabled: int = 0
    joined: int = 0
    left: int = 0
    held: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self.created + self.changed + self.disabled + self.enabled + self.joined + self.left


@dataclass(slots=True)
class Row:
    """A user's row, as far as it is compared."""

    pk: UUID
    username: str
    display_name: str
    email: str
    is_active: bool
    by_directory: bool


class People:
    """Compares people with rows, and writes the difference."""

    def __init__(self, directory: Directory, people: Sequence[Person], outcome: Outcome):
        self.directory, self.people, self.outcome = directory, people, outcome
        self.actor = Actor.system(f"directory {directory.name}")
        self.rows: dict[str, Row] = {}
        self.holders: dict[str, str] = {}  # lower-case user name → external id, "" for somebody of elsewhere
        columns = ("directory_id", "external_id", "pk", "username", "display_name", "email", "is_active")
        users = User.objects.order_by().values_list(*columns, "disabled_in_directory")
        for place, external, *rest in users.iterator(BATCH * 4):
            ours = place == directory.pk and external
            if ours:
                self.rows[external] = Row(*rest)
            self.holders[rest[1].lower()] = external if ours else ""

    def write(self) -> None:
        """Make, change, enable and disable as the directory says; nobody is disabled for being absent."""
        names = self._names()
        fresh, changed, renamed = [], [], []
        for person in self.people:
            row, name = self.rows.get(person.id), names.get(person.id)
            if name is None and (row is None or row.username.lower() != person.username.lower()):
                self.outcome.refused.append(person.username)
            if row is None:
                if name is not None:
                    fresh.append(person)
                continue
            name = name or row.username
            if (row.username, row.display_name, row.email) != (name, person.display_name, person.email):
                changed.append((row, name, person))
                if row.username.lower() != name.lower():
                    renamed.append(row)
        # Names are unique at every moment: two who swap theirs have to pass through a third.
        wanted = {name.lower() for name in names.values()}
        self._park([row for row in renamed if row.username.lower() in wanted])
        self._change(changed)
        self._create(fresh)
        self._switch()

    def _names(self) -> dict[str, str]:
        """Id → name, of everybody who can have the name the directory gives them.

        Not one that two have; not one of somebody of elsewhere, or of somebody who does not give it up.
        """
        count = Counter(person.username.lower() for person in self.people)
        names = {person.id: person.username for person in self.people if count[person.username.lower()] == 1}
        contested = [id for id, name in names.items() if self.holders.get(name.lower(), id) != id]
        while refused := [id for id in contested if id in names and not self._given_up(names[id].lower(), names)]:
            for id in refused:
                del names[id]
        return names

    def _given_up(self, name: str, names: dict[str, str]) -> bool:
        return names.get(self.holders[name], name).lower() != name

    def absent(self, present: Iterable[str], among: Iterable[str] | None = None) -> list[Row]:
        """Active rows whose id is not among the `present`; only of those ids in `among`, if given."""
        there = set(present)
        ids = self.rows.keys() if among is None else self.rows.keys() & set(among)
        return [self.rows[id] for id in ids if id not in there and self.rows[id].is_active]

    def retire(self, rows: Sequence[Row]) -> None:
        """Keep out those whom the directory has no more; their machines stay theirs until somebody decides."""
        self.outcome.disabled += self._disable([row.pk for row in rows])
        for row in rows:
            row.is_active, row.by_directory = False, True

    def free_names(self) -> None:
        """Take the names of those who are gone away from them where somebody else has the name now."""
        listed = {person.id for person in self.people}
        wanted = {person.username.lower(): person.id for person in self.people}
        gone = [
            row
            for id, row in self.rows.items()
            if id not in listed and not row.is_active and wanted.get(row.username.lower(), id) != id
        ]
        for row in gone:
            del self.holders[row.username.lower()]
        self._park(gone)

    def _park(self, rows: Sequence[Row]) -> None:
        for batch in batches(rows):
            with transaction.atomic():
                for row in batch:
                    row.username = parked(User(pk=row.pk, username=row.username))
                    User.objects.filter(pk=row.pk).update(username=row.username)

    def _change(self, changed: Sequence[tuple[Row, str, Person]]) -> None:
        for batch in batches(changed):
            with transaction.atomic():
                users = [
                    User(pk=row.pk, username=name, display_name=person.display_name, email=person.email)
                    for row, name, person in batch
                ]
                User.objects.bulk_update(users, ["username", "display_name", "email"], batch_size=100)
                for row, name, _ in batch:
                    row.username = name
                    publish("user", row.pk)
        self.outcome.changed += len(changed)

    def _create(self, fresh: Sequence[Person]) -> None:
        for batch in batches(fresh):
            with transaction.atomic():
                now = clock.now()
                User.objects.bulk_create(
                    (
                        User(
                            directory=self.directory, external_id=person.id, username=person.username,
                            display_name=person.display_name, email=person.email, password=make_password(None),
                            is_active=person.may_sign_in, disabled_in_directory=not person.may_sign_in, created_at=now,
                        )
                        for person in batch
                    ),
                    ignore_conflicts=True,  # somebody signed in meanwhile, or the name was given away: the next look
                )  # fmt: skip
                ids = [person.id for person in batch]
                made = User.objects.filter(directory=self.directory, external_id__in=ids)
                for user in made:
                    self.rows[user.external_id] = Row(
                        user.pk, user.username, user.display_name, user.email, user.is_active,
                        user.disabled_in_directory,
                    )  # fmt: skip
                    self.outcome.created += 1

    def _switch(self) -> None:
        off = [row for p in self.people if not p.may_sign_in and (row := self.rows.get(p.id)) and row.is_active]
        on = [row for p in self.people if p.may_sign_in and (row := self.rows.get(p.id)) and row.by_directory]
        self.outcome.disabled += self._disable([row.pk for row in off])
        for row in off:
            row.is_active, row.by_directory = False, True
        for batch in batches([row.pk for row in on]):
            with transaction.atomic():
                back = User.objects.filter(pk__in=batch, disabled_in_directory=True, is_active=False)
                for user in list(back):
                    record(
                        "user.enabled", actor=self.actor, subject=user, message=N_("User %(name)s was enabled"),
                        name=user,
                    )  # fmt: skip
                    publish("user", user.pk)
                self.outcome.enabled += back.update(is_active=True, disabled_in_directory=False)
        for row in on:
            row.is_active, row.by_directory = True, False

    def _disable(self, pks: Sequence[UUID]) -> int:
        count = 0
        for batch in batches(pks):
            with transaction.atomic():
                rows = User.objects.filter(pk__in=batch, is_active=True)
                for user in list(rows):
                    record(
                        "user.disabled", actor=self.actor, subject=user, severity="warning",
                        message=N_("User %(name)s was disabled"), name=user,
                    )  # fmt: skip
                    publish("user", user.pk, "disabled")
                # A new unusable password ends their sign-ins for good, also when they are let in again.
                count += rows.update(is_active=False, disabled_in_directory=True, password=make_password(None))
        return count


def write_groups(people: People, roster: Roster, *, accept: bool) -> None:
    """Bring groups and memberships in step; what was set by hand stays. Removals in unlikely numbers are held."""
    directory, outcome = people.directory, people.outcome
    known = {group.external_id: group for group in Group.objects.filter(directory=directory).exclude(external_id="")}
    gone = [group for id, group in known.items() if id not in roster.groups]
    hold_groups = not accept and (not roster.groups or unlikely(len(gone), len(known)))
    _write_names(directory, roster.groups, known, outcome)
    places = [people.rows[person.id].pk if person.id in people.rows else None for person in roster.people]
    where = {pk: place for place, pk in enumerate(places) if pk is not None}
    strangers: dict[UUID, int] = {}  # users with a row who are not in the directory's answer
    present = _present(directory, where, strangers, len(places))
    order = [*places, *strangers]
    active_only = sum(1 << place for place in range(len(places)))
    total = sum(bits.bit_count() for bits in present.values())
    leaving = {
        group.pk: present.get(group.pk, 0) & ~roster.members.get(id, 0)
        for id, group in known.items()
        if id in roster.groups or not hold_groups
    }
    if outcome.held:  # those who are missing are not believed to be gone: then not from their groups either
        leaving = {pk: bits & active_only for pk, bits in leaving.items()}
    lost = sum(bits.bit_count() for bits in leaving.values())
    if not accept and unlikely(lost, total, LIKELY_MEMBERSHIPS):
        outcome.held += lost
        leaving = {}
    if hold_groups and gone:
        outcome.held += len(gone)
    for id, group in known.items():
        joining = roster.members.get(id, 0) & ~present.get(group.pk, 0)
        joined = [pk for pk in at(order, joining) if pk is not None]
        left = [pk for pk in at(order, leaving.get(group.pk, 0)) if pk is not None]
        _join(group, joined)
        _leave(group, left)
        outcome.joined += len(joined)
        outcome.left += len(left)
        if joined or left:
            publish("group", group.pk)
    if not hold_groups:
        for group in gone:
            outcome.changed += _drop(group, people.actor)


def unlikely(going: int, known: int, likely: float = LIKELY_USERS) -> bool:
    """Whether so many of so many vanish at once only when something is wrong with the answer."""
    return going > max(FEW, known * likely)


def _present(directory: Directory, where: dict[UUID, int], strangers: dict[UUID, int], count: int) -> dict[UUID, int]:
    flags: dict[UUID, bytearray] = {}
    size = count // 8 + 1
    rows = Membership.objects.filter(group__directory=directory, from_directory=True).order_by()
    for group, user in rows.values_list("group_id", "user_id").iterator(BATCH * 10):
        place = where.get(user)
        if place is None:
            place = strangers.setdefault(user, count + len(strangers))
        bits = flags.setdefault(group, bytearray(size))
        if place >> 3 >= len(bits):
            bits.extend(bytes((place >> 3) + 1 - len(bits)))
        bits[place >> 3] |= 1 << (place & 7)
    return {group: int.from_bytes(bits, "little") for group, bits in flags.items()}


def _write_names(directory: Directory, found: dict[str, GroupFound], known: dict[str, Group], outcome: Outcome) -> None:
    """Make new groups and rename others; `known` holds all of them afterwards."""
    count = Counter(group.name for group in found.values())
    taken = set(Group.objects.filter(directory=directory, external_id="").values_list("name", flat=True))
    taken |= {group.name for id, group in known.items() if id not in found}
    wanted = {
        id: f"{group.name[:200]} ({id[:50]})" if count[group.name] > 1 or group.name in taken else group.name[:255]
        for id, group in found.items()
    }
    moving = [group for id, group in known.items() if id in wanted and wanted[id] != group.name]
    for batch in batches(moving):
        with transaction.atomic():
            for group in batch:  # through a third name, as with users
                Group.objects.filter(pk=group.pk).update(name=f"~{group.pk.hex}")
            for group in batch:
                group.name = wanted[group.external_id]
            Group.objects.bulk_update(batch, ["name"], batch_size=100)
            for group in batch:
                publish("group", group.pk)
    outcome.changed += len(moving)
    fresh = [Group(directory=directory, external_id=id, name=name) for id, name in wanted.items() if id not in known]
    for batch in batches(fresh):
        with transaction.atomic():
            Group.objects.bulk_create(batch)
    known |= {group.external_id: group for group in fresh}
    outcome.created += len(fresh)


def _join(group: Group, users: Sequence[UUID]) -> None:
    for batch in batches(users):
        with transaction.atomic():
            Membership.objects.bulk_create(
                (Membership(group=group, user_id=pk, by_hand=False, from_directory=True) for pk in batch),
                update_conflicts=True, unique_fields=["group", "user"], update_fields=["from_directory"],
            )  # fmt: skip


def _leave(group: Group, users: Sequence[UUID]) -> None:
    for batch in batches(users):
        with transaction.atomic():
            rows = Membership.objects.filter(group=group, user_id__in=batch)
            rows.filter(by_hand=False).delete()
            rows.update(from_directory=False)


def _drop(group: Group, actor: Actor) -> int:
    """A group the directory has no more. It stays while it has members by hand or rights, which come back with it."""
    with transaction.atomic():
        rows = Membership.objects.filter(group=group, from_directory=True)
        left, _ = rows.filter(by_hand=False).delete()
        left += rows.update(from_directory=False)
        if group.memberships.exists() or group.grants.exists():
            return left
        record("group.deleted", actor=actor, subject=group, message=N_("Group %(name)s was removed"), name=group.name)
        publish("group", group.pk, "deleted")
        group.delete()
    return left + 1


def at(order: Sequence[T], bits: int) -> list[T]:
    """The items whose bit is set."""
    return [order[place] for place, digit in enumerate(reversed(f"{bits:b}")) if digit == "1"]


def batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    """In lists of at most BATCH."""
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
