"""Duty: carry out the session rules of the pools. Level-triggered: it looks who is there, not at what happened.

Each due step is done in a transaction of its own, after a second look under a lock: somebody may have come back.
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.connections.actions import end_sessions_of
from broker.connections.states import EndReason
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.models import Severity
from broker.events.news import publish
from broker.events.record import record
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.suspend_vm import suspend_vm

from .actions.release import release
from .models import Desktop, SessionRules, Sitting
from .session_facts import Screens, booking_of, facts_of, screens_at, see
from .session_rules import ENDS, Act, Due, Rules, Trigger, decide, harsher, with_booking
from .states import DesktopState

log = logging.getLogger(__name__)
ACTOR = Actor.system("pools.sessions")
ORDER_AGAIN = 45.0
"""Seconds after which an order to a guest that nobody has answered for is given again."""
MOST_ORDERS = 3
_SEEN = ("began_at", "left_at", "input_at", "guest_boot", "logged_off_at", "extended", "extensions")
_WORDS = {
    Act.LOCK: N_("locked"),
    Act.DISCONNECT: N_("its screen closed"),
    Act.LOG_OUT: N_("logged out"),
    Act.SUSPEND: N_("suspended"),
    Act.SHUT_DOWN: N_("shut down"),
    Act.GIVE_BACK: N_("given back"),
}
_WHY = {
    Trigger.LEAVE: N_("its user left"),
    Trigger.IDLE: N_("nothing was typed"),
    Trigger.LOGOFF: N_("its user logged off"),
    Trigger.LONGEST: N_("the longest session was over"),
    Trigger.BOOKING: N_("the booked time was over"),
}


def run() -> int:
    """The duty; returns how many steps were carried out. One desktop that fails holds up no other."""
    Sitting.objects.exclude(desktop__state=DesktopState.ASSIGNED).delete()
    desktops = list(_held())
    seen, now, done = screens_at(desktops), clock.now(), 0
    for desktop in desktops:
        screens = seen.get(desktop.pk, Screens())
        nobody = not screens.opened_at and not screens.closed_at and not desktop.vm.guest.get("users")
        if nobody and booking_of(desktop) is None:
            continue  # nobody has been there yet, and no end is set
        try:
            done += _look(desktop, screens, now)
        except Exception:
            log.exception("The session rules of desktop %s could not be carried out; it comes round again", desktop.pk)
    return done


def look_at(desktop_id: UUID) -> int:
    """The same for one desktop, on news of it."""
    desktop = _held().filter(pk=desktop_id).first()
    if desktop is None:
        return 0
    return _look(desktop, screens_at([desktop]).get(desktop_id, Screens()), clock.now())


def _held() -> Any:
    rows = Desktop.objects.filter(state=DesktopState.ASSIGNED, held_since__isnull=False)
    return rows.select_related("vm__host", "holder", "sitting", "pool__session_rules", "booking")


def rules_of(desktop: Desktop) -> Rules:
    """The rules of its pool, none when nobody has made any; and the end of its booking."""
    booking = booking_of(desktop)
    try:
        rules = desktop.pool.session_rules.rules()
    except SessionRules.DoesNotExist:
        rules = SessionRules().rules() if booking else Rules()
    return with_booking(rules) if booking else rules


def _look(desktop: Desktop, screens: Screens, now: datetime) -> int:
    known = getattr(desktop, "sitting", None)
    before = {name: getattr(known, name) for name in _SEEN} if known else {}
    held_before = known.held_since if known else None
    sitting = see(desktop, screens, now)
    if sitting.held_since != held_before or before != {name: getattr(sitting, name) for name in _SEEN}:
        _save(desktop, sitting, before)
    rules = rules_of(desktop)
    _give_orders_again(desktop, sitting, rules, now)
    if not decide(rules, facts_of(desktop, sitting, screens), now):
        return 0
    return _carry_out(desktop.pk)


@transaction.atomic
def _save(desktop: Desktop, sitting: Sitting, before: dict[str, Any]) -> None:
    # `acts` and extensions are written under a lock by others: only what was seen is written here.
    values = {name: getattr(sitting, name) for name in _SEEN} | {"held_since": sitting.held_since}
    if before and before["extended"] == sitting.extended:
        del values["extended"], values["extensions"]
    present, made = Sitting.objects.get_or_create(desktop=desktop, defaults=values)
    if not made:
        if present.held_since != sitting.held_since:
            values |= {"acts": {}, "cut_at": None, "extended": 0, "extensions": 0}
        Sitting.objects.filter(pk=present.pk).update(**values)
    if sitting.logged_off_at and sitting.logged_off_at != before.get("logged_off_at"):
        record(
            "session.logged-off", actor=ACTOR, subject=desktop.vm,
            message=N_("%(user)s logged off in %(vm)s."), user=desktop.holder, vm=desktop.vm,
        )  # fmt: skip
    publish("desktop", desktop.pk, "sitting")


def _carry_out(desktop_id: UUID) -> int:
    """Look once more under the sitting's lock, and do what is due."""
    with transaction.atomic():
        sitting = Sitting.objects.select_for_update().filter(pk=desktop_id).first()
        desktop = _held().filter(pk=desktop_id).first()
        if sitting is None or desktop is None:
            return 0
        # Who opens a console holds this lock too: nobody comes back between the look and the deed.
        User.objects.select_for_update().get(pk=desktop.holder_id)
        now, screens = clock.now(), screens_at([desktop]).get(desktop_id, Screens())
        sitting = see(desktop, screens, now)
        rules, facts = rules_of(desktop), facts_of(desktop, sitting, screens)
        due = decide(rules, facts, now)
        if not due:
            return 0
        # What is harsher makes the gentler ones needless; they count as done.
        for one in due:
            sitting.acts[one.step.name] = {"base": one.base.isoformat(), "at": now.isoformat(), "act": one.step.act}
        _do(desktop, sitting, due[0], now)
        Sitting.objects.filter(pk=desktop_id).update(
            acts=sitting.acts, cut_at=sitting.cut_at, began_at=sitting.began_at
        )
        publish("desktop", desktop_id, "rule")
    return 1


def _do(desktop: Desktop, sitting: Sitting, due: Due, now: datetime) -> None:
    act, name = due.step.act, due.step.name
    if due.step.trigger in ENDS:
        sitting.cut_at, sitting.began_at = now, None
        end_sessions_of(actor=ACTOR, vm=desktop.pk, user=desktop.holder_id, reason=EndReason.TIME_LIMIT)
    try:
        with transaction.atomic():
            _act(desktop, act, name)
    except BerthError as error:
        if error.retry:
            del sitting.acts[name]  # something else is under way: the next round tries again
        else:
            sitting.acts[name]["trouble"] = error.message
            tell_trouble(desktop, due, error)
        return
    if act in (Act.LOCK, Act.LOG_OUT):
        sitting.acts[name] |= {"order": act.value, "orders": 1}
    record(
        "session.rule",
        actor=ACTOR,
        subject=desktop.vm,
        message=N_("The desktop %(vm)s of %(user)s was to be %(what)s: %(why)s."),
        vm=desktop.vm,
        user=desktop.holder or "–",
        what=_WORDS[act],
        why=_WHY[due.step.trigger],
    )


def _act(desktop: Desktop, act: Act, step: str) -> None:
    if act in (Act.LOCK, Act.LOG_OUT):
        order(desktop.pk, step)
    elif act is Act.DISCONNECT:
        end_sessions_of(actor=ACTOR, vm=desktop.pk, user=desktop.holder_id, reason=EndReason.IDLE)
    elif act is Act.SUSPEND:
        suspend_vm(actor=ACTOR, vm=desktop.vm)
    elif act is Act.SHUT_DOWN:
        shutdown_vm(actor=ACTOR, vm=desktop.vm)
    elif act is Act.GIVE_BACK:
        release(
            actor=ACTOR,
            desktop=desktop,
            reason=_WHY[Trigger.BOOKING] if step == "booking" else N_("the session rules of the pool"),
        )


# -- orders to guests ----------------------------------------------------------------------------------------


def order(desktop_id: UUID, step: str) -> None:
    """Have a worker give the order of this step to the guest, once this transaction is committed."""
    from .tasks import order_guest

    transaction.on_commit(
        lambda: order_guest.apply_async(args=(str(desktop_id), step), ignore_result=True), robust=True
    )


def _give_orders_again(desktop: Desktop, sitting: Sitting, rules: Rules, now: datetime) -> None:
    """Messages to workers may get lost: an order without an outcome is given again, and given up in the end."""
    for step, act in sitting.acts.items():
        waited = (now - datetime.fromisoformat(act["at"])).total_seconds() if "order" in act else 0.0
        if waited < ORDER_AGAIN or "outcome" in act or "trouble" in act:
            continue
        with transaction.atomic():
            present = Sitting.objects.select_for_update().get(pk=sitting.pk)
            mine = present.acts.get(step)
            if mine is None or mine != act:
                continue
            if mine["orders"] >= MOST_ORDERS:
                mine["trouble"] = N_("nobody answered")
            else:
                mine |= {"orders": mine["orders"] + 1, "at": now.isoformat()}
                order(desktop.pk, step)
            Sitting.objects.filter(pk=present.pk).update(acts=present.acts)


def note_outcome(desktop_id: UUID, step: str, error: BerthError | None) -> None:
    """Write down how an order to the guest ended."""
    with transaction.atomic():
        sitting = Sitting.objects.select_for_update().filter(pk=desktop_id).first()
        desktop = _held().filter(pk=desktop_id).first()
        if sitting is None or desktop is None or step not in sitting.acts:
            return
        act = sitting.acts[step]
        if error is None:
            act["outcome"] = "done"
        else:
            act["trouble"] = error.message
            rules, base = rules_of(desktop), datetime.fromisoformat(act["base"])
            found = next((one for one in rules.steps if one.name == step), None)
            if found is not None:
                tell_trouble(desktop, Due(found, base, base), error)
        Sitting.objects.filter(pk=desktop_id).update(acts=sitting.acts)
        publish("desktop", desktop_id, "rule")


def tell_trouble(desktop: Desktop, due: Due, error: BerthError) -> None:
    """Record that a step could not be carried out, its cause, and what comes next instead."""
    now, screens = clock.now(), screens_at([desktop]).get(desktop.pk, Screens())
    following = harsher(rules_of(desktop), facts_of(desktop, see(desktop, screens, now), screens), due, now)
    record(
        "session.rule-failed",
        actor=ACTOR,
        subject=desktop.vm,
        severity=Severity.WARNING,
        message=N_("The desktop %(vm)s of %(user)s could not be %(what)s: %(cause)s Next: %(next)s.")
        if following
        else N_("The desktop %(vm)s of %(user)s could not be %(what)s: %(cause)s No harsher step is set for its pool."),
        vm=desktop.vm,
        user=desktop.holder or "–",
        what=_WORDS[due.step.act],
        cause=error.message,
        explanation=error.as_dict(),
        next=f"{_WORDS[following.step.act]}, {following.at:%Y-%m-%d %H:%M:%S} UTC" if following else "",
    )
