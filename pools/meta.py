"""The members of a meta-pool: in which order they are gone through now, and what each says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Conflict, NoCapacity, OverQuota, Reason
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.models import Host
from broker.virt.states import HostState, VmState

from .bringing_up import Allocation
from .handing_out import hand_out
from .models import Booking, Desktop, MetaMember, MetaPool, Pool
from .states import POOL, BookingState, DesktopState

POLICY = "meta-pool.policy"
# rule of a refusal → the same for who may not see the pool
_WORDS = {
    "pool.open": N_("being deleted"),
    "pool.hours": N_("closed now"),
    "pool.booking": N_("not booked by the user now"),
    "pool.max-per-user": N_("the user has as many as it allows"),
    "host.usable": N_("without a host that works"),
    POLICY: N_("not asked, another one comes first"),
}
_NO_DESKTOP = N_("without a desktop to give")


@dataclass(frozen=True, slots=True)
class Standing:
    """A member with what the policy goes by: how many of its desktops are in use, and how many are free."""

    pool: Pool
    position: int
    taken: int
    free: int

    @property
    def percent(self) -> int:
        """How much of it is in use; what has no desktops is full."""
        return round(100 * self.taken / self.pool.size) if self.pool.size else 100


@dataclass(frozen=True, slots=True)
class Given:
    """What came of going through a meta-pool; `why` is what is kept with the event: why no other member."""

    allocation: Allocation
    why: dict[str, Any]


def standings(meta: MetaPool) -> list[Standing]:
    """The members in the order in which the policy asks them now: one query."""
    rows = MetaMember.objects.filter(meta=meta).select_related("pool").order_by("position", "pk")
    free = Q(pool__desktops__state=DesktopState.FREE, pool__desktops__vm__state=VmState.READY)
    rows = rows.annotate(
        taken=Count("pool__desktops", filter=Q(pool__desktops__state=DesktopState.ASSIGNED)),
        free=Count("pool__desktops", filter=free),
    )
    found = [Standing(row.pool, row.position, row.taken, row.free) for row in rows]
    return in_order(meta.policy, found)


def booked_first(user: User, members: list[Standing]) -> list[Standing]:
    """`members` with those first of which the user has booked a desktop for now: one query where some are booked."""
    pools = [one.pool.pk for one in members if one.pool.booked]
    if not pools:
        return members
    now = clock.now()
    rows = Booking.objects.filter(user=user, pool__in=pools, state=BookingState.BOOKED, start__lte=now, end__gt=now)
    mine = set(rows.order_by().values_list("pool", flat=True))
    return sorted(members, key=lambda one: one.pool.pk not in mine)


def in_order(policy: str, members: Sequence[Standing]) -> list[Standing]:
    """`members` as the policy asks them; those alike stay in the order given."""
    if policy == MetaPool.Policy.EVEN:
        return sorted(members, key=lambda one: (not one.pool.size, one.taken / (one.pool.size or 1)))
    if policy == MetaPool.Policy.MOST_FREE:
        return sorted(members, key=lambda one: -one.free)
    return list(members)


def held_of(user: User, meta: MetaPool) -> list[Desktop]:
    """The desktops of any member that the user has, however they came by them: one query."""
    members = MetaMember.objects.filter(meta=meta).order_by().values("pool")
    return list(Desktop.objects.filter(holder=user, pool__in=members).select_related("vm", "pool").order_by("number"))


def ask(actor: Actor, user: User, pool: Pool, held: int) -> Allocation:
    """A desktop of one member, within a transaction that holds the user's lock; `held`: how many of it the user has.

    Raises any BerthError; what was written by then is the caller's to take back.
    """
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."), rule="pool.open", fix=N_("Take it out of the meta-pool."),
            pool=str(pool),
        )  # fmt: skip
    if held >= pool.max_per_user:
        raise Conflict(
            N_("Of %(pool)s nobody may have more than %(most)s at once."), rule="pool.max-per-user",
            fix=N_("Give one back first."), pool=str(pool), most=pool.max_per_user,
        )  # fmt: skip
    allocation = hand_out(actor, user, pool)
    if allocation.state != "ready" and not _works(pool):
        raise NoCapacity(
            N_("No host of %(pool)s works, and none of its free desktops runs."), rule="host.usable",
            fix=N_("Bring a host of its cluster back into service."), pool=str(pool),
        )  # fmt: skip
    return allocation


def _works(pool: Pool) -> bool:
    """Whether some host of its cluster starts machines: where none does, the start would wait for one."""
    return Host.objects.filter(cluster=pool.cluster_id, state=HostState.ACTIVE, error="").exists()


def refusal_of(pool: Pool, error: BerthError) -> Reason:
    """Why one member gave nothing, for the explanation of the whole."""
    words = _WORDS.get(error.rule, _NO_DESKTOP)
    return Reason(str(pool), error.rule, error.template, kind="pool", id=pool.pk, words=words, **error.params)


def not_asked(meta: MetaPool, member: Standing) -> Reason:
    """Why a member was not asked once another had given a desktop."""
    message, params = {
        MetaPool.Policy.EVEN: (N_("comes later: %(percent)s %% of it is in use"), {"percent": member.percent}),
        MetaPool.Policy.MOST_FREE: (N_("comes later: %(free)s of its desktops are free"), {"free": member.free}),
    }.get(MetaPool.Policy(meta.policy), (N_("comes later in the order"), {}))
    return Reason(str(member.pool), POLICY, message, kind="pool", id=member.pool.pk, words=_WORDS[POLICY], **params)


def none_serves(meta: MetaPool, refused: Sequence[tuple[Pool, BerthError]]) -> BerthError:
    """The refusal when no member gave a desktop: each with its rule. One over quota everywhere is told so."""
    errors = [error for _pool, error in refused]
    if errors and all(isinstance(error, OverQuota) for error in errors):
        return errors[0]
    if not errors:
        message, fix = N_("%(meta)s has no pools."), N_("Ask your administrator to give it some.")
    else:
        message, fix = N_("No pool of %(meta)s can give you a desktop now."), N_("Try again in a minute.")
    helps = dict.fromkeys(text for error in errors for text in error.helps)
    return NoCapacity(
        message, rule="meta-pool.members", fix=fix, reasons=[refusal_of(*one) for one in refused],
        helps=tuple(helps), meta=str(meta),
    )  # fmt: skip
