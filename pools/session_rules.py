"""What becomes of a desktop whose user leaves, falls silent, logs out or stays too long: pure arithmetic.

`decide` says what is due now, `ahead` what comes when. Neither asks or writes anything. A step is done once for each
occurrence of what it waits for: facts.done remembers the moment it was counted from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Act(StrEnum):
    """What can be done, the gentlest first."""

    NOTHING = "nothing"
    LOCK = "lock"
    DISCONNECT = "disconnect"
    LOG_OUT = "log-out"
    SUSPEND = "suspend"
    SHUT_DOWN = "shut-down"
    GIVE_BACK = "give-back"


HARSHNESS = {act: place for place, act in enumerate(Act)}


class Trigger(StrEnum):
    """What a step counts from."""

    LEAVE = "leave"
    LOGOFF = "logoff"
    IDLE = "idle"
    LONGEST = "longest"
    BOOKING = "booking"


ENDS = (Trigger.LONGEST, Trigger.BOOKING)
"""What ends a session whatever its user does: it is warned of."""


@dataclass(frozen=True, slots=True)
class Step:
    """Do `act` when `after` has passed since `trigger`. `name` is unique among the steps of a rule set."""

    name: str
    trigger: Trigger
    act: Act
    after: timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule set. Steps that do nothing are left out. `warn` is how long before the longest session's end it is told;
    it may be put off by `extension`, `extensions` times."""

    steps: tuple[Step, ...] = ()
    warn: timedelta = timedelta(minutes=5)
    extension: timedelta = timedelta(minutes=30)
    extensions: int = 0

    def of(self, trigger: Trigger) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.trigger is trigger)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one held desktop.

    `began_at`: when the present session began, None before the first screen. `left_at`: when the last screen closed,
    None while one is open. `input_at`: the last key or pointer. `logged_off_at`: when the guest's own login ended.
    `booked_until`: when the time ends for which the desktop was booked. `extended`: by how much the longest session was
    put off. `done`: step → the moment it was counted from when done.
    """

    running: bool = True
    connected: bool = False
    began_at: datetime | None = None
    left_at: datetime | None = None
    input_at: datetime | None = None
    logged_off_at: datetime | None = None
    booked_until: datetime | None = None
    extended: timedelta = timedelta(0)
    done: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """`step` is to be carried out at `at`; `base` is the moment it was counted from."""

    step: Step
    at: datetime
    base: datetime


def decide(rules: Rules, facts: Facts, now: datetime) -> tuple[Due, ...]:
    """The steps that are due and not done, the harshest first."""
    due = [one for one in _all(rules, facts) if one.at <= now]
    return tuple(sorted(due, key=lambda one: (-HARSHNESS[one.step.act], one.at, one.step.name)))


def ahead(rules: Rules, facts: Facts, now: datetime) -> tuple[Due, ...]:
    """The steps that will be due if nothing changes, the next first."""
    coming = [one for one in _all(rules, facts) if one.at > now]
    return tuple(sorted(coming, key=lambda one: (one.at, one.step.name)))


def harsher(rules: Rules, facts: Facts, failed: Due, now: datetime) -> Due | None:
    """What comes after a step that could not be carried out: the next one that takes more."""
    rest = (*decide(rules, facts, now), *ahead(rules, facts, now))
    more = [one for one in rest if HARSHNESS[one.step.act] > HARSHNESS[failed.step.act]]
    return min(more, key=lambda one: (one.at, one.step.name), default=None)


def warned(rules: Rules, facts: Facts, now: datetime) -> Due | None:
    """The end of the longest session or of the booked time, once it is near enough to be told."""
    coming = [one for one in _all(rules, facts) if one.step.trigger in ENDS]
    near = [one for one in coming if one.at - rules.warn <= now]
    return min(near, key=lambda one: one.at, default=None)


def with_booking(rules: Rules) -> Rules:
    """The rules of a desktop that is had for a booked time: it goes back at its end."""
    end = Step("booking", Trigger.BOOKING, Act.GIVE_BACK, timedelta(0))
    return replace(rules, steps=(*rules.steps, end))


def _all(rules: Rules, facts: Facts) -> Sequence[Due]:
    bases = {trigger: _base(trigger, facts) for trigger in Trigger}
    found = []
    for step in rules.steps:
        base = bases[step.trigger]
        if base is None or facts.done.get(step.name) == base or not _makes_sense(step.act, facts):
            continue
        more = facts.extended if step.trigger is Trigger.LONGEST else timedelta(0)
        found.append(Due(step, base + step.after + more, base))
    return found


def _base(trigger: Trigger, facts: Facts) -> datetime | None:
    if trigger is Trigger.LEAVE:
        return None if facts.connected else facts.left_at
    if trigger is Trigger.IDLE:
        return facts.input_at if facts.connected else None
    if trigger is Trigger.LOGOFF:
        return facts.logged_off_at
    if trigger is Trigger.BOOKING:
        return facts.booked_until
    return facts.began_at


def _makes_sense(act: Act, facts: Facts) -> bool:
    """Whether there is anything to do it to: a screen to close, a running guest to lock."""
    if act is Act.NOTHING:
        return False
    if act is Act.DISCONNECT:
        return facts.connected
    return act is Act.GIVE_BACK or facts.running
