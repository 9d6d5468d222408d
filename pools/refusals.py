"""Why there is no desktop to hand out, and what would help."""

from django.db.models import Count

from broker.core.errors import NoCapacity, Reason
from broker.core.text import gettext_noop as N_

from .models import Desktop, Pool
from .states import DesktopState

_REASONS = {
    DesktopState.ASSIGNED: N_("%(count)s in use"),
    DesktopState.BUILDING: N_("%(count)s being made"),
    DesktopState.RESETTING: N_("%(count)s being reset after use"),
    DesktopState.RETIRING: N_("%(count)s being removed"),
    DesktopState.BROKEN: N_("%(count)s broken"),
    DesktopState.FREE: N_("%(count)s free, but not to be started now"),
}


def none_free(pool: Pool) -> NoCapacity:
    """The refusal for `pool`, with what was counted: one query."""
    rows = Desktop.objects.filter(pool=pool).order_by().values_list("state").annotate(count=Count("pk"))
    counts = {DesktopState(state): count for state, count in rows}
    soon = counts.get(DesktopState.BUILDING, 0) + counts.get(DesktopState.RESETTING, 0)
    if pool.alert:
        message = N_("No desktop of %(pool)s is free, and no further one can be made.")
        fix = N_("Tell your administrator: the page of the pool says why.")
    elif soon or (pool.size and not counts):
        message = N_("No desktop of %(pool)s is free this moment; more are being made ready.")
        fix = N_("Try again in a minute.")
    elif not pool.size:
        message = N_("The pool %(pool)s has no desktops.")
        fix = N_("Ask your administrator to give it some.")
    else:
        message = N_("All %(size)s desktops of %(pool)s are taken.")
        fix = N_("Try again when one has been given back, or ask your administrator for a larger pool.")
    reasons = tuple(
        Reason(str(pool), f"desktop.{state}", text, count=counts[state])
        for state, text in _REASONS.items()
        if counts.get(state)
    )
    return NoCapacity(message, fix=fix, reasons=reasons, pool=str(pool), size=pool.size)
