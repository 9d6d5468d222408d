"""Carry a pool over to another template version: the free desktops a few at a time, the others when given back.

Level-triggered, called by reconcile in its transaction under the lock of the pool: whoever pins another version or
publishes a newer one only says what is wanted. A desktop that is rebuilt is one that is reset, onto the new version;
one that keeps what its users leave on it is rebuilt only when somebody who may has said so (actions/update_desktop).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.driver import PowerState
from broker.virt.models import TemplateVersion
from broker.virt.states import VM

from . import trouble
from .models import Assignment, Desktop, Pool, Rollout
from .models.rollout import AT_ONCE
from .seats import Look, pause
from .states import DESKTOP, POOL, ROLLOUT, DesktopState, RolloutState
from .versions import open_rollout, wanted_version

MOST_TROUBLE = 3  # tries to start desktops that may fail in a row before the rollout stops by itself


def keep_up(pool: Pool, look: Look, found: trouble.Streak) -> bool:
    """Begin, go on with, or end the pool's rollout; returns whether desktops were moved."""
    wanted = wanted_version(pool)
    if wanted is None or not POOL.is_(pool.state, "open"):
        return False
    rollout, old = open_rollout(pool), behind(look.desktops, wanted)
    if not old:
        if rollout is not None:
            _close(pool, rollout, "finish" if rollout.version_id == wanted.pk else "end")
        return False
    if rollout is None or rollout.version_id != wanted.pk:
        rollout = _begin(pool, wanted, old, rollout)
    if rollout.state != RolloutState.RUNNING or _stopped_itself(pool, rollout, look, wanted, found) or found.tries:
        return False
    return _advance(pool, rollout, look, old)


def behind(desktops: Sequence[Desktop], wanted: TemplateVersion) -> list[Desktop]:
    """Those of another version than `wanted`. What is broken or goes is not waited for: reset, it gets the new one."""
    left_out = (DesktopState.RETIRING, DesktopState.BROKEN)
    return [
        row for row in desktops
        if row.state not in left_out and row.vm.template_version_id not in (None, wanted.pk)
    ]  # fmt: skip


def _begin(pool: Pool, wanted: TemplateVersion, old: Sequence[Desktop], last: Rollout | None) -> Rollout:
    """A new one; what was stopped stays stopped, for whoever stopped it has not said that it may go on."""
    stopped = last is not None and last.state == RolloutState.PAUSED
    before = last or Rollout.objects.filter(pool=pool).first()
    if last is not None:
        _close(pool, last, "end")
    commonest = Counter(str(row.vm.template_version_id) for row in old).most_common(1)[0][0]
    previous = TemplateVersion.objects.select_related("template").filter(pk=commonest).get()
    rollout = Rollout.objects.create(
        pool=pool, version=wanted, previous=previous, numbers=[previous.number, wanted.number],
        at_once=before.at_once if before else AT_ONCE,
    )  # fmt: skip
    record(
        "rollout.began", actor=trouble.builder(pool), subject=pool,
        message=N_("%(count)s desktops of %(pool)s go from %(old)s to %(new)s"), count=len(old), pool=pool,
        old=previous, new=wanted,
    )  # fmt: skip
    publish("pool", pool.pk, "rollout")
    if stopped:
        stop(rollout)
    return rollout


def stop(rollout: Rollout, cause: dict[str, Any] | None = None) -> None:
    """Stop it; `cause` when no person did. Raises Conflict when it does not run."""
    ROLLOUT.move(rollout, "stop", cause=cause)
    publish("pool", rollout.pool_id, "rollout")


def _close(pool: Pool, rollout: Rollout, event: str) -> None:
    ROLLOUT.move(rollout, event, ended_at=clock.now(), cause=None)
    if event == "finish":
        record(
            "rollout.done", actor=trouble.builder(pool), subject=pool,
            message=N_("All desktops of %(pool)s are of version %(number)s"), pool=pool, number=rollout.numbers[-1],
        )  # fmt: skip
    publish("pool", pool.pk, "rollout")


def _stopped_itself(pool: Pool, rollout: Rollout, look: Look, wanted: TemplateVersion, found: trouble.Streak) -> bool:
    """A version whose desktops break is not given to more of them."""
    broken = [
        row.vm.name for row in look.desktops
        if row.state == DesktopState.BROKEN and row.vm.template_version_id == wanted.pk
        and row.changed_at >= rollout.going_since
    ]  # fmt: skip
    cause: BerthError
    if broken:
        cause = Conflict(
            N_("%(name)s broke on the new version."), rule="rollout.broken",
            fix=N_("Look at it, then go on or roll back."), name=broken[0],
        )  # fmt: skip
    elif found.tries >= MOST_TROUBLE and found.until and found.until - pause(found.tries) > rollout.going_since:
        cause = Conflict(
            N_("Desktops of the pool do not start."), rule="rollout.trouble",
            fix=N_("The pool's alert says why; then go on or roll back."),
        )  # fmt: skip
    else:
        return False
    stop(rollout, cause.as_dict())
    record(
        "rollout.stopped-itself", actor=trouble.builder(pool), subject=pool, severity="error",
        message=N_("The rollout of %(pool)s to version %(number)s stopped by itself: %(cause)s"), pool=pool,
        number=rollout.numbers[-1], cause=cause.message, explanation=cause.as_dict(),
    )  # fmt: skip
    return True


def _advance(pool: Pool, rollout: Rollout, look: Look, old: Sequence[Desktop]) -> bool:
    """Reset free ones, as many as may be at a time; those that are off first, for nobody waits for them."""
    room = rollout.at_once - sum(row.state == DesktopState.RESETTING for row in old)
    free = [
        row for row in old
        if row.state == DesktopState.FREE and VM.is_(row.vm.state, "usable") and row.pk not in look.busy
        and not look.failed(row.pk).waiting
    ]  # fmt: skip
    kept = holding_data(pool, free)
    free = [row for row in free if row.pk not in kept]
    free.sort(key=lambda row: (row.vm.power_state == PowerState.RUNNING, row.number))
    moved = False
    for row in free[: max(min(room, _sparable(look)), 0)]:
        rows = Desktop.objects.filter(pk=row.pk)
        if DESKTOP.attempt(rows, "reset", changed_at=clock.now(), failures=0):
            publish("desktop", row.pk, "resetting")
            moved = True
    return moved


def _sparable(look: Look) -> int:
    """How many free ones nobody will miss: as long as others are about to be free, the last one stays for who comes."""
    free = sum(row.state == DesktopState.FREE for row in look.desktops)
    coming = any(row.state in (DesktopState.RESETTING, DesktopState.BUILDING) for row in look.desktops)
    return free - 1 if coming or free > 1 else free


def holding_data(pool: Pool, desktops: Sequence[Desktop]) -> set[Any]:
    """Those on which users have left something that the pool promises to keep: one query, or none."""
    if not keeps_data(pool):
        return set()
    ids = [row.pk for row in desktops]
    return set(Assignment.objects.filter(desktop__in=ids).values_list("desktop_id", flat=True))


def keeps_data(pool: Pool) -> bool:
    return pool.stateful or pool.kind == Pool.Kind.MANUAL


def require_open(pool: Pool) -> Rollout:
    """The pool's open rollout; raises Conflict when there is none."""
    rollout = open_rollout(pool)
    if rollout is None:
        raise Conflict(
            N_("%(pool)s is not going over to another version."), rule="rollout.open", about=pool,
            fix=N_("Publish a version or choose another one for the pool; its desktops then go over."), pool=str(pool),
        )  # fmt: skip
    return rollout
