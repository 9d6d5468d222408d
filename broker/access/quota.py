"""The one place where quotas are decided: `claim` before something is made, started or handed over.

What is used is counted from present rows each time, by the meter that the machines' app registers: no counter can
drift. The quotas that apply are locked first, so that of two claims at the same instant the second sees the first.

Who pays: for existing (machines, disk) the owner of a machine and its cluster; for running (running machines, their
processors and memory) the holder of a desktop, or else the machine's owner, and the cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q, QuerySet

from broker.core import clock
from broker.core.errors import OverQuota, Reason
from broker.core.text import gettext_noop as N_
from broker.events.record import ActorLike, record
from broker.sql import Statement

from . import overruns
from .grace import Answer, judge, terms_of
from .models import Quota
from .resources import RESOURCES, number

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is used or needed. Memory in MiB and disks in bytes: a disk need not be whole GiB."""

    vcpus: int = 0
    memory_mib: int = 0
    disk_bytes: int = 0
    machines: int = 0
    running: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Amount)))

    def of(self, resource: str) -> float:
        """In the unit of the quota's limit."""
        value: float = self.disk_bytes / GIB if resource == "disk_gib" else getattr(self, resource)
        return value


class Meter(Protocol):
    """Counts what is used."""

    def used(self, *, people: Any = None, cluster: UUID | None = None, without: UUID | None = None) -> Amount:
        """By `people` (ids, or a queryset of one column; None is everybody), in `cluster`, without one machine."""
        ...

    def by_person(self) -> Mapping[tuple[UUID | None, UUID], Amount]:
        """All that is used: (user or None, cluster) → amount. A fixed number of queries."""
        ...


_meters: list[Meter] = []


def register_meter(meter: Meter) -> None:
    """Called once by the app that has the machines."""
    _meters.append(meter)


def meter() -> Meter:
    return _meters[-1]


def any_in_force() -> bool:
    """Whether there is a quota at all: the one cheap query where there is none."""
    return bool(_ANY.rows())


_ANY = Statement(lambda: Quota.objects.exclude(mode=Quota.Mode.OFF).order_by().values_list("pk")[:1])


def claim(
    need: Amount,
    *,
    actor: ActorLike,
    payer: UUID | None,
    cluster: UUID,
    subject: models.Model,
    without: UUID | None = None,
    of_cluster: bool = True,
) -> None:
    """Let `need` through for `payer` in `cluster`, or raise OverQuota naming each limit in the way.

    Call it in the transaction that then writes what is needed. `subject` is what it is for, in the events of what was
    let through with a warning. `without`: a machine whose present share is in `need` already. `of_cluster`: False
    where only somebody else pays for what was running before.
    """
    applying = _locked(payer, cluster, of_cluster=of_cluster)
    if not applying:
        return
    known: dict[tuple[Any, ...], Amount] = {}
    refusals: list[Reason] = []
    warnings: list[tuple[Quota, str, float, float]] = []
    beginning: list[tuple[Quota, str, float]] = []
    now = clock.now()
    since = overruns.since(applying, payer)
    for quota in applying:
        asked = [name for name in RESOURCES if getattr(quota, name) is not None and need.of(name) > 0]
        if not asked:
            continue
        used = _used(quota, payer, without, known)
        for name in asked:
            terms, before = terms_of(quota, name), used.of(name)
            after, began = before + need.of(name), since.get((quota.pk, name))
            answer = judge(terms, before=before, need=need.of(name), since=began, now=now)
            if answer in (Answer.TOO_MUCH, Answer.TOO_LATE) and quota.mode == Quota.Mode.ENFORCED:
                refusals.append(_refusal(quota, name, before, need, late=answer == Answer.TOO_LATE))
            elif terms.begins(before=before, after=after, since=began):
                beginning.append((quota, name, after))
            elif after > terms.limit or before <= terms.limit * quota.threshold_percent / 100 < after:
                warnings.append((quota, name, after, terms.limit))
    if refusals:
        raise _over(refusals)
    for quota, name, after, limit in warnings:
        _warn(actor, subject, quota, name, after, limit)
    for quota, name, after in beginning:
        overruns.begin(quota, name, payer if quota.each else None, used=after, now=now, actor=actor)


def ensure_could_run(need: Amount, *, payer: UUID | None, cluster: UUID) -> None:
    """Raise OverQuota when a machine of this size alone is over a limit: it could be made, and never be started."""
    refusals = [
        _refusal(quota, name, 0, need)
        for quota in applying_to(payer, cluster)
        if quota.mode == Quota.Mode.ENFORCED
        for name in RESOURCES
        if getattr(quota, name) is not None and need.of(name) > terms_of(quota, name).hard
    ]
    if refusals:
        raise _over(refusals)


def applying_to(payer: UUID | None, cluster: UUID | None, *, of_cluster: bool = True) -> QuerySet[Quota]:
    """The quotas in force that limit `payer` in `cluster` (None: anywhere)."""
    whose = Q(pk__in=[])
    if payer is not None:
        whose |= Q(user=payer) | Q(group__in=_memberships().filter(user_id=payer).values("group_id"))
    if of_cluster and cluster is not None:
        whose |= Q(user__isnull=True, group__isnull=True, cluster=cluster)
    where = Q(cluster__isnull=True) | Q(cluster=cluster) if cluster is not None else Q()
    return Quota.objects.exclude(mode=Quota.Mode.OFF).filter(whose & where).select_related("user", "group", "cluster")


def _memberships() -> QuerySet[Any]:
    """Rows of (group_id, user_id)."""
    relation: Any = get_user_model()._meta.get_field("directory_groups")
    rows: QuerySet[Any] = relation.through._default_manager.all()
    return rows


def members_paying(groups: set[Any], payers: set[UUID]) -> dict[Any, set[UUID]]:
    """Which of the payers are in each of the groups: one query, none without groups."""
    members: dict[Any, set[UUID]] = {group: set() for group in groups}
    if groups:
        rows = _memberships().filter(group_id__in=groups, user_id__in=payers)
        for group, person in rows.values_list("group_id", "user_id"):
            members[group].add(person)
    return members


def _locked(payer: UUID | None, cluster: UUID, *, of_cluster: bool) -> Sequence[Quota]:
    """The quotas that apply, held against other claims until the transaction ends.

    Those of one person are guarded by that person's row, for a quota of each member must not make all wait for each
    other; the others by their own. Always the person first, then quotas in the order of their ids: no deadlock.
    """
    rows = applying_to(payer, cluster, of_cluster=of_cluster)
    if not rows.order_by().exists():
        return ()
    if payer is not None:
        people = get_user_model()._default_manager.select_for_update(no_key=True).filter(pk=payer)
        list(people.values_list("pk").order_by())
    shared = rows.filter(user__isnull=True, each=False).select_for_update(of=("self",), no_key=True).order_by("pk")
    own = rows.exclude(user__isnull=True, each=False)
    return (*shared, *own)


def _used(quota: Quota, payer: UUID | None, without: UUID | None, known: dict[tuple[Any, ...], Amount]) -> Amount:
    """What counts against the quota. `known` keeps what another quota of the same people has counted already."""
    people: Any = None
    if quota.user_id or quota.each:
        key: tuple[Any, ...] = ("user", quota.user_id or payer, quota.cluster_id)
        people = [quota.user_id or payer]
    else:
        key = ("group", quota.group_id, quota.cluster_id)
        if quota.group_id:
            people = _memberships().filter(group_id=quota.group_id).values("user_id")
    if key not in known:
        known[key] = meter().used(people=people, cluster=quota.cluster_id, without=without)
    return known[key]


def _refusal(quota: Quota, name: str, before: float, need: Amount, *, late: bool = False) -> Reason:
    template = N_("%(used)s of %(limit)s %(what)s are used, and %(need)s more would be")
    if late:
        template = N_("%(used)s of %(limit)s %(what)s are used, and the time to be over the limit is up")
    return Reason(
        str(quota),
        f"quota.{name.replace('_', '-')}",
        template,
        kind="quota",
        id=quota.pk,
        words=N_("the time over a quota is up") if late else N_("a quota is used up"),
        used=number(before),
        limit=number(getattr(quota, name)),
        need=number(need.of(name)),
        what=RESOURCES[name],
    )


def _over(refusals: Sequence[Reason]) -> OverQuota:
    first = refusals[0]
    return OverQuota(
        N_("The quota of %(whose)s does not allow it: %(used)s of %(limit)s %(what)s are used, %(need)s more needed."),
        fix=N_("Shut down or give back what is not needed, or ask an administrator for a larger quota."),
        rule=first.rule,
        reasons=tuple(refusals),
        whose=first.subject,
        **first.params,
    )


def _warn(actor: ActorLike, subject: models.Model, quota: Quota, name: str, after: float, limit: float) -> None:
    record(
        "quota.exceeded" if after > limit else "quota.threshold",
        actor=actor,
        subject=quota,
        severity="warning",
        message=N_("%(whose)s now uses %(used)s of %(limit)s %(what)s (%(cause)s)"),
        whose=quota,
        used=number(after),
        limit=number(limit),
        what=RESOURCES[name],
        cause=subject,
    )
