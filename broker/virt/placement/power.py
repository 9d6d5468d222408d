"""Which hosts of a cluster are switched off to save power, which are woken, and why. Pure: a duty carries it out.

Waking comes first: for highly available machines that find no room, for overload that no host awake can relieve, and
for the reserve of empty hosts. Only when nothing is to be woken, and nothing is on its way up or down, is one host
switched off; what is decided then would not be undone by the next look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from broker.core.errors import NoCapacity
from broker.core.text import gettext_noop as N_

from .balance import movable, overloaded, relieve, usable, would_overload
from .choose import choose
from .facts import HostFacts, Request
from .picture import MachineFacts, Picture
from .recover import place_all, reserves, what_if

SLEEP, WAKE = "sleep", "wake"
NOT_AGAIN = 1800.0  # seconds for which a host that did not wake is left alone


@dataclass(frozen=True, slots=True)
class HostPower:
    """What is known of a host beside the picture's facts.

    `able`: it may be switched off, and power management can. `held`: why it has to stay on now, "" for nothing.
    `asleep`: it is off, or on its way there (`falling`) or back (`waking`). `empty_for`: for how many seconds nothing
    has run on it; `failed_ago`: how long ago it was to wake and did not, where nothing has woken it since.
    """

    able: bool = False
    held: str = ""
    asleep: bool = False
    falling: bool = False
    waking: bool = False
    empty_for: float | None = None
    failed_ago: float | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be woken now."""
        tired = self.failed_ago is not None and self.failed_ago < NOT_AGAIN
        return self.asleep and not (self.falling or self.waking or tired)


Powers = Mapping[UUID, HostPower]


@dataclass(frozen=True, slots=True)
class Act:
    """A host to switch off or to wake, and why: a %-template over `params`."""

    kind: str
    host: HostFacts
    why: str
    params: tuple[tuple[str, str], ...] = ()


def decide(picture: Picture, powers: Powers, waiting: Iterable[MachineFacts] = ()) -> tuple[Act, ...]:
    """What is to be done now; only of one kind. `waiting`: highly available machines without a host, the most important
    first; the picture knows them."""
    coming = [pk for pk, power in powers.items() if power.waking and pk in picture.hosts]
    sleepers = [picture.hosts[pk] for pk, power in powers.items() if power.ready and pk in picture.hosts]
    sleepers.sort(key=lambda one: (one.name, one.id))
    if not picture.policy.switches_hosts:
        why = N_("its cluster does not switch hosts off any more")
        return () if coming else tuple(Act(WAKE, one, why) for one in sleepers[:1])
    plan = _Waking(picture.copy(), sleepers)
    for pk in coming:
        plan.rise(pk)
    unplaced = plan.for_waiting(waiting)
    plan.for_overload()
    plan.for_reserve()
    under_way = coming or any(power.falling for power in powers.values())
    if plan.acts or under_way or unplaced:
        return tuple(plan.acts)
    return _to_sleep(picture, powers)


def awake(host: HostFacts) -> HostFacts:
    """The host as it will be when it is woken."""
    return replace(host, schedulable=True, asleep=False, error="", seen_ago=0.0, lost=False)


def fit(request: Request, hosts: Iterable[HostFacts]) -> HostFacts | None:
    """The best of the sleeping `hosts` for a machine, would it be awake; None when none would do."""
    try:
        return choose(request, [awake(one) for one in hosts]).host
    except NoCapacity:
        return None


class _Waking:
    """The hosts to wake, each counted as awake for what is asked next."""

    def __init__(self, trial: Picture, sleepers: Sequence[HostFacts]):
        self.trial, self.sleepers, self.acts = trial, list(sleepers), list[Act]()

    def rise(self, pk: UUID) -> None:
        self.trial.hosts[pk] = awake(self.trial.hosts[pk])

    def wake(self, pk: UUID, why: str, **params: object) -> None:
        host = next(one for one in self.sleepers if one.id == pk)
        self.sleepers.remove(host)
        self.acts.append(Act(WAKE, host, why, tuple((name, str(value)) for name, value in params.items())))
        self.rise(pk)

    def for_waiting(self, waiting: Iterable[MachineFacts]) -> bool:
        """Hosts for machines that find no room; whether some are left for which no host would do."""
        left = False
        for one in place_all(self.trial, waiting):
            if one.host is not None or place_all(self.trial, [one.machine])[0].host is not None:
                continue  # it has room, now or on a host that is woken for one before it
            found = fit(self.trial.request(one.machine.id, recovering=True), self.sleepers)
            if found is None:
                left = True
                continue
            self.wake(found.id, N_("“%(machine)s” lost its host and finds no room"), machine=one.machine.name)
            self.trial.put(one.machine.id, found.id)
        return left

    def for_overload(self) -> None:
        relieve(self.trial)
        for host in sorted(self.trial.hosts.values(), key=lambda one: (one.name, one.id)):
            if not (usable(host) and overloaded(self.trial, host)):
                continue
            for machine in movable(self.trial, host.id):
                ready = [one for one in self.sleepers if not would_overload(self.trial, one, machine)]
                if (found := fit(self.trial.request(machine.id), ready)) is not None:
                    self.wake(found.id, N_("%(host)s is overloaded, and no host that is awake can relieve it"),
                              host=host.name)  # fmt: skip
                    return  # what it takes over is seen when it is there

    def for_reserve(self) -> None:
        wanted = self.trial.policy.hosts_in_reserve
        while self.sleepers and len(empty := _empty(self.trial)) < wanted:
            self.wake(self.sleepers[0].id, N_("%(empty)s empty hosts are on, and %(wanted)s are to be"),
                      empty=len(empty), wanted=wanted)  # fmt: skip


def _empty(picture: Picture) -> list[HostFacts]:
    return [one for one in picture.hosts.values() if usable(one) and not one.machines]


def _to_sleep(picture: Picture, powers: Powers) -> tuple[Act, ...]:
    """One host, the one that has been empty longest."""
    policy = picture.policy
    empty = _empty(picture)
    if len(empty) <= policy.hosts_in_reserve:
        return ()
    if any(overloaded(picture, one) for one in picture.hosts.values()):
        return ()  # one in maintenance, too: what it is relieved of may fill a host that is empty now
    idle = {one.id: powers[one.id].empty_for or 0.0 for one in empty if one.id in powers}
    for host in sorted(empty, key=lambda one: (-idle.get(one.id, 0.0), one.name, one.id)):
        power = powers.get(host.id)
        if power is None or not power.able or power.held or power.asleep or power.empty_for is None:
            continue
        if power.empty_for >= policy.power_off_after_minutes * 60 and _spared(picture, host):
            why = N_("nothing has run on it for %(minutes)s minutes, and %(left)s empty hosts stay on")
            minutes = int(power.empty_for // 60)
            return (Act(SLEEP, host, why, (("minutes", str(minutes)), ("left", str(len(empty) - 1)))),)
    return ()


def _spared(picture: Picture, host: HostFacts) -> bool:
    """Whether the others do without it, also should one of them fail, and no affinity group demands it alone."""
    others = [one for one in picture.hosts.values() if one.id != host.id and usable(one)]
    if not others or len(others) <= picture.policy.reserve_hosts:
        return False
    left = {one.id for one in others}
    for group in picture.groups:
        demanded = group.hosts_together and group.hosts_hard and host.id in group.hosts
        if demanded and not group.hosts & left:
            return False
    rest = Picture(picture.policy, others, picture.machines.values(), picture.groups)
    kept = reserves(rest, picture.policy.reserve_hosts)
    if any(one.memory_left < kept[one.id] for one in others):
        return False
    with_it = Picture(picture.policy, [*others, host], picture.machines.values(), picture.groups)
    return all(
        len(what_if(rest, [one.id]).waiting) <= len(what_if(with_it, [one.id]).waiting)
        for one in others
        if any(machine.request.available for machine in rest.on(one.id))
    )
