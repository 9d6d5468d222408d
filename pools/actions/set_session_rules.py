"""Say what becomes of a pool's desktops when their users leave, fall silent, log out or stay too long."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from pools.models import Pool, SessionRules
from pools.session_rules import HARSHNESS, Act
from pools.states import POOL

LONGEST_TIME = 30 * 24 * 3600
_CHOICES = {
    "leave": frozenset(Act) - {Act.DISCONNECT},
    "then": frozenset(Act) - {Act.DISCONNECT},
    "logoff": frozenset(Act) - {Act.LOCK, Act.LOG_OUT},
    "idle": frozenset(Act),
    "longest_do": frozenset(Act) - {Act.NOTHING, Act.LOCK},
}
_AT_PCS = frozenset({Act.NOTHING, Act.DISCONNECT, Act.GIVE_BACK})
_TIMES = {
    "leave_after": 0, "then_after": 0, "logoff_after": 0, "idle_after": 5, "longest": 0, "warn_before": 0,
    "extension": 5,
}  # fmt: skip
FIELDS = frozenset(_CHOICES) | frozenset(_TIMES) | {"extensions", "kept"}


@transaction.atomic
def set_session_rules(*, actor: Actor, pool: Pool, **changes: Any) -> SessionRules:
    """Write those of FIELDS that are given; times are in seconds, `longest` 0 is no limit. Returns the rule set.

    It holds at once, also for who has a desktop now. Raises Missing, Denied, Invalid, or Conflict (being deleted).
    """
    require(actor, "pool.manage", pool)
    if unknown := sorted(changes.keys() - FIELDS):
        raise Invalid(
            N_("Session rules have no “%(what)s”."), field=unknown[0], fix=N_("Leave it out."), what=unknown[0]
        )
    values = {name: _checked(name, value) for name, value in changes.items()}
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."), rule="pool.open", fix=N_("Make another pool."), pool=str(pool)
        )
    rules, _made = SessionRules.objects.select_for_update().get_or_create(pool=pool)
    before = {name: getattr(rules, name) for name in values}
    for name, value in values.items():
        setattr(rules, name, value)
    _check_together(pool, rules)
    rules.save()
    if changed := {name: value for name, value in values.items() if value != before[name]}:
        record(
            "pool.session-rules",
            actor=actor,
            subject=pool,
            message=N_("The session rules of %(pool)s were changed: %(changes)s"),
            pool=pool,
            changes=", ".join(f"{name} {before[name]} → {value}" for name, value in sorted(changed.items()))[:1000],
        )
        publish("pool", pool.pk)
    return rules


def _checked(name: str, value: Any) -> Any:
    if name == "kept":
        return names.title(value, field=name, longest=120) if isinstance(value, str) else _checked_text(name)
    if name == "extensions":
        return names.number(value, field=name, least=0, most=100)
    if name in _TIMES:
        return names.number(value, field=name, least=_TIMES[name], most=LONGEST_TIME)
    if value not in {act.value for act in _CHOICES[name]}:
        raise Invalid(
            N_("This cannot be done there."),
            field=name,
            fix=N_("Use one of: %(acts)s."),
            acts=", ".join(act.value for act in Act if act in _CHOICES[name]),
        )
    return str(value)


def _checked_text(name: str) -> str:
    raise Invalid(N_("This is not a text."), field=name, fix=N_("Give a text."))


def _check_together(pool: Pool, rules: SessionRules) -> None:
    if pool.is_physical:
        for name in _CHOICES:
            if Act(getattr(rules, name)) not in _AT_PCS:
                raise Invalid(
                    N_("Nothing of Berth is inside a physical PC that could do this."),
                    field=name,
                    fix=N_("Close the screen, or give the PC back to the pool."),
                )
    if pool.kind == Pool.Kind.MANUAL:
        for name in _CHOICES:
            if getattr(rules, name) == Act.GIVE_BACK and (name != "longest_do" or rules.longest):
                raise Invalid(
                    N_("A desktop of this pool stays with its user: it is not given back by itself."),
                    field=name,
                    fix=N_("Choose another step, or make the pool automatic."),
                )
    if rules.then != Act.NOTHING:
        if HARSHNESS[Act(rules.then)] <= HARSHNESS[Act(rules.leave)]:
            raise Invalid(
                N_("The second step takes no more than the first."),
                field="then",
                fix=N_("Choose a harsher one, or nothing."),
            )
        if rules.then_after < rules.leave_after:
            raise Invalid(
                N_("The second step comes before the first."), field="then_after", fix=N_("Give it a longer time.")
            )
    if rules.longest and not rules.warn_before < rules.longest:
        raise Invalid(
            N_("The warning would come before the session begins."),
            field="warn_before",
            fix=N_("Use less than %(longest)s seconds."),
            longest=rules.longest,
        )
