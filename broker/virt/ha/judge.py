"""Is a host dead? Pure: evidence in, a ruling out, with the rule that decided. The gates are oVirt's.

Nothing but three things proves that the machines of a silent host cannot run: an admin who says that it was rebooted,
power management that says it is off, and, for machines with a lease on storage, the lease's end.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.core.text import gettext_noop as N_

from .rules import HaRules

LIBVIRT, AGENT, LEASE, PEER, ASKED = "libvirt", "agent", "lease", "peer", "asked"
SECONDS_PER_MACHINE = 0.5


class Decision(StrEnum):
    ALIVE = "alive"
    WAIT = "wait"
    HOLD = "hold"  # a gate is closed
    ASK = "ask"  # the soft fence: connect anew, past everything that may hang
    FENCE = "fence"
    LEASED = "leased"  # machines with a lease may be restarted, others not
    DEAD = "dead"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says: when it last showed a sign of life, in seconds ago; None: never. `by` is who saw it.

    `still`: for how long a lease was seen to stand still, None where it is looked at all the time. `promise`: after so
    many seconds without a renewal the host stops its machines; others get twice as long.
    """

    source: str
    ago: float | None
    detail: str = ""
    by: str = ""
    still: float | None = None
    promise: float = 0.0

    def fresh(self, within: float) -> bool:
        return self.ago is not None and self.ago < max(within, 2 * self.promise)

    def over(self, within: float) -> bool:
        """Whether a lease was seen to stand still for so long: that nobody looked proves nothing."""
        still = self.ago if self.still is None else self.still
        return self.ago is not None and still is not None and still >= max(within, 2 * self.promise)


@dataclass(frozen=True, slots=True)
class Case:
    """A host and what is known of it. `…_ago` are seconds, None when it was not in this silence."""

    host: str
    schedulable: bool
    evidence: tuple[Evidence, ...]
    silent: float
    machines: int = 0
    lost: bool = False
    confirmed: bool = False
    off: bool = False
    asked: bool = False
    tried_ago: float | None = None
    devices: int = 0

    def of(self, source: str) -> list[Evidence]:
        return [one for one in self.evidence if one.source == source]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is beside the host: for how long somebody has watched, how many hosts are silent, when one was fenced."""

    watching_for: float
    hosts: int
    silent_hosts: int
    fenced_ago: float | None = None
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Ruling:
    """`message` is a %-template over `params`."""

    decision: Decision
    rule: str
    message: str
    params: tuple[tuple[str, str], ...] = ()


def judge(case: Case, around: Surroundings, rules: HaRules) -> Ruling:
    """What is to be done about the host now."""
    patience = rules.detect_seconds + SECONDS_PER_MACHINE * case.machines
    if not around.writable:
        return _ruling(Decision.HOLD, "database", N_("the database takes nothing, so nothing is decided"))
    if case.silent <= 0:
        if case.lost:
            return _ruling(Decision.RETURNED, "returned", N_("it answers again after it was found dead"))
        return _ruling(Decision.ALIVE, "alive", N_("it answers"))
    if case.lost:
        return _ruling(Decision.DEAD, "lost", N_("it was found dead and has not come back"))
    if case.confirmed:
        return _ruling(Decision.DEAD, "confirmed", N_("an administrator said that it was rebooted"))
    if case.off:
        return _ruling(Decision.DEAD, "power-off", N_("power management says that it is off"))
    if not case.schedulable:
        return _ruling(Decision.HOLD, "maintenance", N_("it is in maintenance"))
    if case.silent < patience:
        return _ruling(
            Decision.WAIT, "connecting", N_("it has been silent for less than %(seconds)s seconds"),
            seconds=round(patience),
        )  # fmt: skip
    return _gates(case, around, rules, patience)


def _gates(case: Case, around: Surroundings, rules: HaRules, patience: float) -> Ruling:
    if around.watching_for < rules.startup_seconds:
        return _ruling(
            Decision.HOLD, "startup", N_("Berth has watched for less than %(seconds)s seconds"),
            seconds=rules.startup_seconds,
        )  # fmt: skip
    if around.silent_hosts >= 2 and around.silent_hosts * 100 >= rules.silent_share_percent * around.hosts:
        return _ruling(
            Decision.HOLD, "silent-share", N_("%(silent)s of %(hosts)s hosts are silent: Berth may be cut off itself"),
            silent=around.silent_hosts, hosts=around.hosts,
        )  # fmt: skip
    if any(one.fresh(rules.detect_seconds) for one in case.of(ASKED)):
        return _ruling(Decision.HOLD, "answers", N_("it answered when a worker asked it: only the monitor does not"))
    if not case.asked:
        return _ruling(Decision.ASK, "ask", N_("it is asked anew, over a connection of its own"))
    if any(one.fresh(patience) for one in case.of(AGENT)):
        return _ruling(Decision.HOLD, "agent", N_("its agent answers: only libvirt does not"))
    leases = case.of(LEASE)
    if any(one.fresh(rules.lease_seconds) for one in leases):
        return _ruling(Decision.HOLD, "lease", N_("it renews its lease on storage, so its machines run"))
    if any(one.fresh(patience) for one in case.of(PEER)) and case.silent < 2 * patience:
        return _ruling(Decision.HOLD, "peer", N_("another host still reaches it"))
    if closed := _fence_closed(case, around, rules):
        if leases and all(one.over(rules.lease_seconds) for one in leases):
            return _ruling(
                Decision.LEASED, "lease-over", N_("its lease on storage has been over for long enough; %(closed)s"),
                closed=closed.message % dict(closed.params),
            )  # fmt: skip
        return closed
    return _ruling(Decision.FENCE, "fence", N_("every source has been silent for long enough"))


def _fence_closed(case: Case, around: Surroundings, rules: HaRules) -> Ruling | None:
    if not rules.fencing:
        return _ruling(Decision.HOLD, "fencing-off", N_("fencing is off in its cluster"))
    if not case.devices:
        return _ruling(Decision.HOLD, "no-device", N_("it has no fence device"))
    if case.tried_ago is not None and case.tried_ago < rules.retry_seconds:
        return _ruling(Decision.HOLD, "fence-tried", N_("fencing was tried without success a moment ago"))
    if around.fenced_ago is not None and around.fenced_ago < rules.quiet_seconds and case.tried_ago is None:
        return _ruling(
            Decision.HOLD, "quiet", N_("another host was fenced less than %(seconds)s seconds ago"),
            seconds=rules.quiet_seconds,
        )  # fmt: skip
    return None


def _ruling(decision: Decision, rule: str, message: str, **params: object) -> Ruling:
    return Ruling(decision, rule, message, tuple((name, str(value)) for name, value in params.items()))
