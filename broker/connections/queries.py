"""Reading sessions: who is at which screen, and which consoles must end."""

from collections.abc import Mapping
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.states import VM

from .models import Session
from .rights import entitled
from .sign_in import good_sign_ins
from .states import EndReason, SessionState


def visible_sessions(actor: Actor) -> "models.QuerySet[Session]":
    """One's own sessions, and those at machines one may edit; with user and machine loaded."""
    others = Q(vm__in=visible_to(actor, VirtualMachine, "vm.edit"))
    mine = Q(user=actor.user) if actor.user else Q()
    return Session.objects.filter(mine | others if actor.user else others).select_related("user", "vm")


def live_at(vm: VirtualMachine) -> "models.QuerySet[Session]":
    """Who is at this machine's screen now."""
    return Session.objects.live().filter(vm=vm).select_related("user")


def must_end(running: Mapping[UUID, str]) -> dict[UUID, EndReason]:
    """Of sessions that a gateway carries (id → session cookie), those that must end, and why.

    Also writes down that they were seen. Six queries, however many sessions there are.
    """
    Session.objects.live().filter(pk__in=running.keys()).update(last_seen_at=Now())
    rows = list(Session.objects.filter(pk__in=running.keys()).select_related("user", "vm"))
    signed_in = good_sign_ins((running[row.pk], row.user) for row in rows)
    may_use = entitled((row.user, row.vm_id) for row in rows)
    # A session without a row: its machine or its user was deleted.
    endings = dict.fromkeys(running.keys() - {row.pk for row in rows}, EndReason.STOPPED)
    for row in rows:
        if reason := _reason(
            row, (running[row.pk], str(row.user_id)) in signed_in, (row.user_id, row.vm_id) in may_use
        ):
            endings[row.pk] = reason
    return endings


def _reason(session: Session, signed_in: bool, may_use: bool) -> EndReason | None:
    if session.state != SessionState.OPEN:
        return EndReason(session.close_reason) if session.close_reason in set(EndReason) else EndReason.ENDED
    if not session.user.is_active:
        return EndReason.DISABLED
    if not signed_in:
        return EndReason.SIGNED_OUT
    if not may_use:
        return EndReason.RIGHT_LOST
    if not VM.is_(session.vm.state, "usable") or session.vm.power_state == PowerState.OFF:
        return EndReason.STOPPED
    if session.vm.boot_id != session.boot_id:
        return EndReason.REBOOTED
    return None
