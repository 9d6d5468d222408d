"""Why there is no desktop to hand out, and what would help."""

from typing import Any

from django.db.models import Count

from broker.core.errors import NoCapacity, Reason
from broker.core.reasons import MOST_NAMED
from broker.core.reasons import Count as Counted
from broker.core.text import gettext_noop as N_

from .models import Desktop, Pool
from .silence import said_of
from .states import DesktopState

# state → what is said of one desktop in it, the same without a name, and what would help
_RULES: dict[DesktopState, tuple[str, str, str]] = {
    DesktopState.ASSIGNED: (
        N_("%(user)s has it"), N_("in use"), N_("Take back desktops that are not used, or make the pool larger."),
    ),
    DesktopState.BUILDING: (N_("it is being made"), N_("being made"), ""),
    DesktopState.RESETTING: (N_("it is being reset after use"), N_("being reset after use"), ""),
    DesktopState.RETIRING: (N_("it is being removed"), N_("being removed"), ""),
    DesktopState.BROKEN: (N_("it is broken"), N_("broken"), N_("Mend, reset or remove the broken desktops.")),
    DesktopState.FREE: (
        N_("it is free, but cannot be started now"), N_("free, but not to be started now"),
        N_("See what works on the free desktops, or why they do not start."),
    ),
}  # fmt: skip


def none_free(pool: Pool) -> NoCapacity:
    """The refusal for `pool`, with what was counted and the first desktops by name: two queries.

    What keeps further ones from being made (the pool's alert) is part of it: the hosts and what each lacked.
    """
    rows = Desktop.objects.filter(pool=pool).order_by().values_list("state").annotate(count=Count("pk"))
    counts = {DesktopState(state): count for state, count in rows}
    soon = counts.get(DesktopState.BUILDING, 0) + counts.get(DesktopState.RESETTING, 0)
    if pool.alert:
        rule, message = "pool.can-make", N_("No desktop of %(pool)s is free, and no further one can be made.")
        fix = N_("Tell your administrator: the page of the pool says why.")
    elif soon or (pool.size and not counts):
        rule, message = "pool.free", N_("No desktop of %(pool)s is free this moment; more are being made ready.")
        fix = N_("Try again in a minute.")
    elif not pool.size:
        rule, message = "pool.size", N_("The pool %(pool)s has no desktops.")
        fix = N_("Ask your administrator to give it some.")
    else:
        rule, message = "pool.free", N_("All %(size)s desktops of %(pool)s are taken.")
        fix = N_("Try again when one has been given back, or ask your administrator for a larger pool.")
    alert: dict[str, Any] = pool.alert or {}
    return NoCapacity(
        message,
        rule=rule,
        fix=fix,
        reasons=(*_desktops(pool), *map(Reason.of, alert.get("reasons") or ())),
        counts=(
            *(Counted("vm", f"desktop.{state}", _RULES[state][1], count) for state, count in sorted(counts.items())),
            *(Counted(**count) for count in alert.get("counts") or ()),
        ),
        helps=(*(_RULES[state][2] for state in sorted(counts) if _RULES[state][2]), *(alert.get("helps") or ())),
        pool=str(pool),
        size=pool.size,
    )


def _desktops(pool: Pool) -> list[Reason]:
    rows = Desktop.objects.filter(pool=pool).select_related("vm__host", "holder").order_by("state", "number")
    rows = rows.only("pool_id", "state", "number", "vm__name", "vm__host__name", "vm__host__error", "holder__username")
    return [looked_at(row) for row in rows[:MOST_NAMED]]


def looked_at(desktop: Desktop) -> Reason:
    """What the state of one desktop, its machine, host and holder loaded, says to whoever wants to have it."""
    if desktop.state == DesktopState.FREE and (silent := said_of(desktop)):
        return silent
    message, words, _help = _RULES[DesktopState(desktop.state)]
    who = {"user": desktop.holder.username} if desktop.holder else {}
    rule = f"desktop.{desktop.state}"
    return Reason(desktop.vm.name, rule, message, kind="vm", id=desktop.pk, words=words, **who)
