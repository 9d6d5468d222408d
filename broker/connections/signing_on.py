"""The owner of a desktop who opens its screen is signed on in its guest, where the console policy says so.

A gateway writes down the wish when the screen opens (`wish`) and goes on; a worker does it, and looks again every few
seconds while the guest comes up. What entitles to it is asked anew right before the guest is. No password is known.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.kinds import kind_of
from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.demands import lacking
from broker.directories.guest_names import name_in_guest
from broker.events.models import Severity
from broker.events.news import publish
from broker.events.record import record
from broker.virt import guest_sign_on
from broker.virt.driver import PowerState, Refused, Unsupported
from broker.virt.models import VirtualMachine
from broker.virt.states import VM

from .consent import holders
from .models import ConsolePolicy, Session, SignOn
from .policy import policy_of
from .rights import entitled
from .states import SESSION

log = logging.getLogger(__name__)
ACTOR = Actor.system("connections.sign-on")
WITHIN = timedelta(minutes=3)
"""So long after the screen was opened the guest may still come up; then it has failed."""
AGAIN = timedelta(seconds=4)
CLAIMED = timedelta(seconds=60)
"""After this a worker that does not come back is taken for dead: longer than all it asks of the guest."""
BEGUN = timedelta(seconds=75)
"""After this nothing comes of what was begun: a request is void in the guest after a minute."""
SCREENS = frozenset({"vnc", "spice"})
MOST_AT_ONCE = 200
Outcome = SignOn.Outcome


@dataclass(frozen=True, slots=True)
class Locks:
    """What the layer above knows: `held(machine, user)`, whether its rules locked the desktop when this user left;
    `lifted` is told when that is over."""

    held: Callable[[UUID, UUID], bool]
    lifted: Callable[[UUID, UUID], None]


_locks: list[Locks] = []


def locks(found: Locks) -> None:
    """Have these asked, too."""
    _locks.append(found)


def wish(session: Session, policy: ConsolePolicy) -> None:
    """Write down that who opened this session is to be signed on, if the policy says so. Call it in a transaction.

    Never for somebody who only looks on, helps, or came by a link; nor by RDP, which has brought its own login along.
    """
    if policy.sign_on == ConsolePolicy.SignOn.AGENT and _own_screen(session):
        SignOn.objects.create(session=session)
        _send(session.pk)


def _own_screen(session: Session) -> bool:
    return session.purpose == Session.Purpose.OWN and not session.view_only and session.kind in SCREENS


def _send(session_id: UUID) -> None:
    from .tasks import sign_on_guest  # loads Celery, which a gateway without such desktops is spared

    transaction.on_commit(lambda: sign_on_guest.apply_async(args=(str(session_id),), ignore_result=True), robust=True)


def run() -> int:
    """Duty: have those looked at whose time has come; returns how many. Messages to workers may get lost."""
    due = SignOn.objects.filter(due_at__lte=clock.now()).values_list("pk", flat=True)[:MOST_AT_ONCE]
    for pk in (found := list(due)):
        _send(pk)
    return len(found)


def carry_out(session_id: UUID, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Do what is due of it; harmless when nothing is, or when another worker is at it."""
    now = clock.now()
    if not SignOn.objects.filter(pk=session_id, due_at__lte=now).update(due_at=now + CLAIMED):
        return
    row = SignOn.objects.select_related("session__user__directory", "session__vm__host").filter(pk=session_id).first()
    if row is None:
        return
    try:
        outcome = _attempt(row, sleep)
    except BerthError as error:
        passes = error.retry or error.rule in guest_sign_on.RULES_THAT_PASS
        passes = passes or (isinstance(error, Refused) and not isinstance(error, Unsupported))
        outcome = None if passes and clock.now() - row.asked_at < WITHIN else _failed(row, error)
    if outcome is None:
        SignOn.objects.filter(pk=row.pk).update(due_at=clock.now() + AGAIN)
    else:
        _over(row, outcome)


def is_owner(session: Session) -> bool:
    """Whether the machine is this person's: its holder's if it is of a pool, else that of whom it belongs to."""
    if (holder := holders([session.vm_id]).get(session.vm_id)) is not None:
        return holder == session.user_id
    pooled = VirtualMachine.objects.filter(
        pk=session.vm_id, **{f"{kind_of(VirtualMachine).parents['pool']}__isnull": False}
    )
    return session.vm.owner_id == session.user_id and not pooled.exists()


def _stands(pk: UUID) -> bool:
    """Whether all that entitles to it is still so."""
    session = Session.objects.select_related("user__directory", "vm").filter(pk=pk).first()
    if session is None or session.state not in SESSION.sets["live"] or session.close_reason:
        return False
    user, vm = session.user, session.vm
    return (
        _own_screen(session)
        and user.is_active
        and not lacking([user])
        and VM.is_(vm.state, "usable")
        and vm.power_state == PowerState.RUNNING
        and vm.boot_id == session.boot_id
        and bool(entitled([(user, vm.pk)]))
        and is_owner(session)
        and policy_of(vm).sign_on == ConsolePolicy.SignOn.AGENT
    )


def _attempt(row: SignOn, sleep: Callable[[float], None]) -> str | None:
    """One step further; the outcome, or None while it goes on."""
    session, vm = row.session, row.session.vm
    if not _stands(row.pk):
        _take_back(row, sleep)
        return Outcome.DROPPED
    guest_sign_on.require_possible(guest_sign_on.system_known(vm))
    row.account = name_in_guest(session.user)
    if row.begun_at is not None:
        return _has_begun(row, sleep)
    if any(one.held(vm.pk, session.user_id) for one in _locks):
        told = guest_sign_on.ask(vm, "unlock", row.account, sleep=sleep)
        for one in _locks:
            one.lifted(vm.pk, session.user_id)
        if told == "unlocked":
            return Outcome.UNLOCKED
    nonce = guest_sign_on.ask(vm, "ask", sleep=sleep)
    if not _stands(row.pk):
        return Outcome.DROPPED
    row.begun_at = clock.now()  # before: an answer that does not come says nothing
    SignOn.objects.filter(pk=row.pk).update(begun_at=row.begun_at, account=row.account)
    try:
        told = guest_sign_on.ask(vm, "begin", row.account, nonce, sleep=sleep)
    except Conflict as error:
        if error.rule != guest_sign_on.ANSWERS:  # it began nothing
            SignOn.objects.filter(pk=row.pk).update(begun_at=None)
        raise
    return {"signed-on": Outcome.SIGNED_ON, "present": Outcome.PRESENT}.get(told)


def _has_begun(row: SignOn, sleep: Callable[[float], None]) -> str | None:
    """Whether the login that was begun is there."""
    if guest_sign_on.ask(row.session.vm, "status", row.account, sleep=sleep) == "present":
        return Outcome.SIGNED_ON
    now = clock.now()
    if row.begun_at is not None and now - row.begun_at > BEGUN:
        SignOn.objects.filter(pk=row.pk).update(begun_at=None)  # it never was, or came to nothing
    if now - row.asked_at < WITHIN:
        return None
    raise Conflict(
        N_("The login of “%(account)s” in the guest of %(name)s did not begin."),
        rule="guest.login",
        fix=N_("Look in the guest what its log says of the login; the account may be locked or over."),
        account=row.account,
        name=row.session.vm.name,
    )


def _take_back(row: SignOn, sleep: Callable[[float], None]) -> None:
    """What was begun for somebody whose desktop it is no more is ended. Who only closed the screen stays logged in."""
    if row.begun_at is None or is_owner(row.session):
        return
    try:
        guest_sign_on.ask(row.session.vm, "end", row.account, sleep=sleep)
    except BerthError as error:
        log.warning("A login in the guest of %s could not be ended: %s", row.session.vm, error)


def _failed(row: SignOn, error: BerthError) -> str:
    row.error = error.as_dict()
    record(
        "session.sign-on-failed",
        actor=ACTOR,
        subject=row.session.vm,
        severity=Severity.WARNING,
        message=N_("%(user)s was not signed on in the desktop %(vm)s: %(cause)s"),
        user=row.session.user,
        vm=row.session.vm,
        cause=error.message,
        explanation=row.error,
    )
    return Outcome.FAILED


_TOLD = {
    Outcome.SIGNED_ON: N_("%(user)s was signed on in the desktop %(vm)s as “%(account)s”."),
    Outcome.UNLOCKED: N_("The desktop %(vm)s was unlocked for %(user)s, who came back."),
}


@transaction.atomic
def _over(row: SignOn, outcome: str) -> None:
    SignOn.objects.filter(pk=row.pk).update(
        due_at=None, ended_at=clock.now(), outcome=outcome, account=row.account, error=row.error
    )
    if message := _TOLD.get(Outcome(outcome)):
        record(
            "session.signed-on", actor=ACTOR, subject=row.session.vm, message=message, user=row.session.user,
            vm=row.session.vm, account=row.account, session=row.pk,
        )  # fmt: skip
    publish("session", row.pk, "signed-on")
    publish("vm", row.session.vm_id, "console")
