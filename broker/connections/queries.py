"""Reading sessions: who is at which screen, and which consoles must end."""

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.access.require import may, own, visible_to
from broker.core import clock
from broker.directories.demands import lacking
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.states import VM

from .consent import holders
from .models import Session
from .rights import SERIAL_VERB, entitled
from .rules import NATIVE
from .sign_in import good_sign_ins
from .states import EndReason, HelpState, SessionState


def visible_sessions(actor: Actor) -> "models.QuerySet[Session]":
    """One's own sessions, and those at machines one may edit; all for who may look at the whole system.

    With user, machine and sign-on in the guest loaded.
    """
    rows = Session.objects.select_related("user", "vm", "sign_on")
    if may(actor, "system.view"):
        return rows
    others = Q(vm__in=visible_to(actor, VirtualMachine, "vm.edit"))
    return rows.filter(own(actor, Q(user=actor.user_id)) | others)


def live_at(vm: VirtualMachine) -> "models.QuerySet[Session]":
    """Who is at this machine's screen now."""
    return Session.objects.live().filter(vm=vm).select_related("user")


def must_end(running: Mapping[UUID, str], fresh: Collection[UUID] = ()) -> dict[UUID, EndReason]:
    """Of sessions that a gateway carries (id → session cookie), those that must end, and why.

    Also writes down that they were seen, and that somebody types in those of `fresh`. A constant number of queries,
    however many sessions there are.
    """
    Session.objects.live().filter(pk__in=running.keys()).update(last_seen_at=Now())
    if fresh:
        Session.objects.live().filter(pk__in=list(fresh), view_only=False).update(last_input_at=Now())
    rows = list(Session.objects.filter(pk__in=running.keys()).select_related("user", "vm", "help", "share__owner"))
    signed_in = good_sign_ins((running[row.pk], row.user) for row in rows)
    without = lacking(row.user for row in rows)
    may_use = entitled((row.share.owner if row.share else row.user, row.vm_id) for row in rows)
    at_lines = [row for row in rows if row.purpose == Session.Purpose.SERIAL]
    may_type = entitled(((row.user, row.vm_id) for row in at_lines), SERIAL_VERB) if at_lines else set()
    held_by = holders({row.vm_id for row in rows})
    # A session without a row: its machine or its user was deleted.
    endings = dict.fromkeys(running.keys() - {row.pk for row in rows}, EndReason.STOPPED)
    for row in rows:
        if reason := (
            _person_gone(row, row.via == NATIVE or (running[row.pk], str(row.user_id)) in signed_in)
            or (EndReason.SIGNED_OUT if row.user_id in without else None)
            or _right_gone(row, may_type if row in at_lines else may_use, held_by.get(row.vm_id))
            or _machine_gone(row)
        ):
            endings[row.pk] = reason
    return endings


def _person_gone(session: Session, signed_in: bool) -> EndReason | None:
    if session.state != SessionState.OPEN:
        return EndReason(session.close_reason) if session.close_reason in set(EndReason) else EndReason.ENDED
    if not session.user.is_active:
        return EndReason.DISABLED
    return None if signed_in else EndReason.SIGNED_OUT


def _right_gone(session: Session, may_use: set[tuple[UUID, UUID]], holder: UUID | None) -> EndReason | None:
    """Whether the right or the consent on which the session rests is no more."""
    if session.purpose == Session.Purpose.SHARE:
        share = session.share
        good = share and share.ended_at is None and share.expires_at > clock.now()
        return None if good and share and (share.owner_id, session.vm_id) in may_use else EndReason.CONSENT_ENDED
    if (session.user_id, session.vm_id) not in may_use:
        return EndReason.RIGHT_LOST
    if session.purpose == Session.Purpose.SERIAL:
        return None
    if session.purpose == Session.Purpose.OWN:
        # It was opened while nobody held the machine, and has been somebody's since.
        return EndReason.RIGHT_LOST if holder is not None and holder != session.user_id else None
    allowed = session.help is not None and session.help.state == HelpState.ALLOWED
    return None if allowed else EndReason.CONSENT_ENDED


def _machine_gone(session: Session) -> EndReason | None:
    if not VM.is_(session.vm.state, "usable") or session.vm.power_state == PowerState.OFF:
        return EndReason.STOPPED
    return EndReason.REBOOTED if session.vm.boot_id != session.boot_id else None
