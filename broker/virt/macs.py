"""The addresses of network cards: made here, from a cluster's ranges where it has some, and no address twice.

An address is chosen at random among those that no card has, and the row's constraint has the last word: of two callers
that chose the same one, the later chooses again. No lock is taken, for ranges of clusters may overlap. All cards of one
transaction are written in the order of their addresses, so that two that write several never wait for each other.
"""

import itertools
import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection, models, transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Collate

from broker import sql
from broker.core.errors import Conflict, Invalid, Unavailable
from broker.core.text import gettext_noop as N_

from . import names
from .models import Cluster, Nic

FIELD = "mac_ranges"
MOST_RANGES = 32  # of a cluster
MOST_ADDRESSES = 1 << 24  # in all of its ranges
_RESERVED = 0xFE  # the first octet that libvirt gives its own ends of cards
_AT_A_LOOK = 16
_AT_A_COUNT = 500  # columns of a result, of which databases bear only so many
_TRIES = 50
_LONGEST = 64  # characters of what was typed that a refusal repeats
_BYTES = {"postgresql": "C", "sqlite": "BINARY"}
_BETWEEN = re.compile(r"\s*[-\u2013]\s*")


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses as numbers of 48 bits, `last` among them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def overlaps(self, other: "Range") -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return f"{_text(self.first)}-{_text(self.last)}"


USUAL = Range(0x525400000000, 0x525400FFFFFF)
"""Where a cluster has no range: QEMU's own prefix."""


def checked(text: str) -> str:
    """Ranges as people write them, "first-last" on a line each or with commas between, in the form that is stored:
    one a line, in order. Raises Invalid for what is no range of single machines' addresses, and for ranges that
    overlap, are too many or hold more than `MOST_ADDRESSES` addresses together.
    """
    words = [word for line in text.replace(",", "\n").split("\n") if (word := line.strip())]
    if len(words) > MOST_RANGES:
        raise Invalid(
            N_("These are too many ranges."), field=FIELD, fix=N_("Use at most %(most)s for a cluster."),
            most=MOST_RANGES,
        )  # fmt: skip
    ranges = sorted((_range(word) for word in words), key=lambda one: one.first)
    for one, following in itertools.pairwise(ranges):
        if one.overlaps(following):
            raise Invalid(
                N_("The ranges %(one)s and %(other)s overlap."), field=FIELD, one=one, other=following,
                fix=N_("Write them as one range, or let the second begin after the first has ended."),
            )  # fmt: skip
    if sum(one.size for one in ranges) > MOST_ADDRESSES:
        raise Invalid(
            N_("These are more than %(most)s addresses."), field=FIELD, most=MOST_ADDRESSES,
            fix=N_("Leave the first three octets of a range as they are: 52:54:00:00:00:00-52:54:00:ff:ff:ff."),
        )  # fmt: skip
    return "\n".join(map(str, ranges))


def _range(word: str) -> Range:
    first, _, last = _BETWEEN.sub("-", word).partition("-")
    try:
        one = Range(_number(names.mac(first)), _number(names.mac(last)))
    except Invalid:
        raise Invalid(
            N_("“%(given)s” is not a range of addresses of network cards."), field=FIELD, given=word[:_LONGEST],
            fix=N_("Write it like 52:54:00:10:00:00-52:54:00:10:00:ff; the second digit of each address is even."),
        ) from None  # fmt: skip
    if one.last < one.first:
        raise Invalid(
            N_("The range %(given)s ends before it begins."), field=FIELD, given=one,
            fix=N_("Write the lower address first."),
        )  # fmt: skip
    if _RESERVED in (one.first >> 40, one.last >> 40):
        raise Invalid(
            N_("Addresses that begin with fe: are taken by libvirt for the hosts' ends of cards."), field=FIELD,
            fix=N_("Use others, such as 52:54:00:10:00:00-52:54:00:10:00:ff."),
        )  # fmt: skip
    return one


def ranges_of(cluster: Cluster) -> tuple[Range, ...]:
    """The cluster's ranges in order; none where nobody gave it any."""
    pairs = [line.split("-") for line in cluster.mac_ranges.splitlines()]
    return tuple(Range(_number(first), _number(last)) for first, last in pairs)


def used(ranges: Iterable[Range]) -> dict[Range, int]:
    """How many addresses of each range some card has, whichever its cluster; one query for `_AT_A_COUNT` ranges."""
    found: dict[Range, int] = {}
    wanted = list(dict.fromkeys(ranges))
    for start in range(0, len(wanted), _AT_A_COUNT):
        some = wanted[start : start + _AT_A_COUNT]
        counts = {f"n{index}": Count("pk", filter=_within([one])) for index, one in enumerate(some)}
        told = _cards().aggregate(**counts)
        found |= {one: told[f"n{index}"] for index, one in enumerate(some)}
    return found


@dataclass(frozen=True, slots=True)
class Use:
    """Of so many addresses of a cluster so many are used."""

    size: int
    used: int


def use_of(clusters: Collection[Cluster]) -> dict[Cluster, Use]:
    """Of those of the clusters that have ranges, counted together."""
    ranges = {cluster: ranges_of(cluster) for cluster in clusters}
    counts = used(one for some in ranges.values() for one in some)
    return {
        cluster: Use(sum(one.size for one in some), sum(counts[one] for one in some))
        for cluster, some in ranges.items()
        if some
    }


def plug(nic: Nic) -> Nic:
    """Write the new card with an address made for it, and return it; else as `plug_all`."""
    plug_all([nic])
    return nic


def plug_all(nics: Sequence[Nic]) -> None:
    """Write the new cards of one machine. One that has an address keeps it, unless some card has that already.

    Call in a transaction that writes no other cards. Raises Conflict when every address of the cluster is used.
    """
    for _ in range(_TRIES if nics else 0):
        _address(nics)
        try:
            with transaction.atomic():
                # Whoever waits here for another's address has lower ones only, and that one waits for none of those.
                for nic in sorted(nics, key=lambda one: one.mac):
                    sql.add(nic)
                return
        except IntegrityError:
            if not Nic.objects.filter(mac__in=[nic.mac for nic in nics]).exists():
                raise  # something else than the address was refused
    if nics:
        raise Unavailable(
            N_("Others took each network address that was chosen."), rule="mac.taken",
            fix=N_("Try again in a moment."),
        )  # fmt: skip


def _address(nics: Sequence[Nic]) -> None:
    """Give an address to each that has none, or one that is taken."""
    wanted = {nic.mac for nic in nics if nic.mac}
    taken = set(Nic.objects.filter(mac__in=wanted).values_list("mac", flat=True))
    chosen: set[str] = set()
    for nic in sorted(nics, key=lambda one: one.mac, reverse=True):  # those that keep theirs come first
        if not nic.mac or nic.mac in taken or nic.mac in chosen:
            nic.mac = _free(nic.vm.cluster, besides=wanted | chosen)
        chosen.add(nic.mac)


def _free(cluster: Cluster, *, besides: Collection[str]) -> str:
    """An address that no card has and that is not among `besides`; in ranges that are nearly full the free ones are
    counted and one is chosen.
    """
    ranges = ranges_of(cluster) or (USUAL,)
    size = sum(one.size for one in ranges)
    some = [_text(_nth(ranges, secrets.randbelow(size))) for _ in range(_AT_A_LOOK)]
    taken = {*besides, *Nic.objects.filter(mac__in=some).values_list("mac", flat=True)}
    if found := next((one for one in some if one not in taken), ""):
        return found
    there = {*map(_number, _cards().filter(_within(ranges)).values_list("mac", flat=True))}
    there.update(one for one in map(_number, besides) if any(part.first <= one <= part.last for part in ranges))
    numbers = sorted(there)
    left = size - len(numbers)
    if left < 1:
        raise Conflict(
            N_("All %(size)s addresses for network cards of the cluster %(cluster)s are used: %(ranges)s."),
            rule="mac.free", about=cluster, size=size, cluster=cluster.name, ranges=_listed(ranges),
            fix=N_("Remove network cards that are not needed, or give the cluster one more range."),
        )  # fmt: skip
    return _text(_nth(_gaps(ranges, numbers), secrets.randbelow(left)))


def _gaps(ranges: Sequence[Range], taken: Sequence[int]) -> list[Range]:
    """What of the ranges, which are in order, is left between the taken numbers, which are in order and lie in them."""
    gaps, numbers = [], iter(taken)
    number = next(numbers, None)
    for one in ranges:
        start = one.first
        while number is not None and number <= one.last:
            if start < number:
                gaps.append(Range(start, number - 1))
            start, number = number + 1, next(numbers, None)
        if start <= one.last:
            gaps.append(Range(start, one.last))
    return gaps


def _nth(ranges: Sequence[Range], index: int) -> int:
    """The address with this number among all of the ranges, counted from 0."""
    for one in ranges:
        if index < one.size:
            return one.first + index
        index -= one.size
    raise IndexError(index)


def _listed(ranges: Sequence[Range], most: int = 3) -> str:
    return ", ".join([*map(str, ranges[:most]), *(["…"] if len(ranges) > most else [])])


def _cards() -> QuerySet[Nic]:
    """Cards with their address as `plain`, which is compared byte by byte: as text, some languages sort "aa" last."""
    return Nic.objects.annotate(plain=Collate(models.F("mac"), _BYTES[connection.vendor])).order_by()


def _within(ranges: Iterable[Range]) -> Q:
    found = Q()
    for one in ranges:
        found |= Q(plain__gte=_text(one.first), plain__lte=_text(one.last))
    return found


def _number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def _text(number: int) -> str:
    return ":".join(f"{octet:02x}" for octet in number.to_bytes(6, "big"))
