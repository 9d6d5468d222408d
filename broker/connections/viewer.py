"""Sessions of remote-viewer or by RDP, which go to the machine directly: no gateway carries them, so Berth sees only
their beginning. They count as going on until the machine's run, the right or the user is gone, or half a day is over:
what a pool does to a desktop that was left must not strike somebody who works in it.
"""

from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

from .consent import holders
from .endpoints import Endpoint
from .models import Session
from .rights import entitled
from .rules import ASSUMED, VIEWER_ASSUMED
from .secrets import fingerprint
from .states import EndReason, SessionState

VIA = ASSUMED
MESSAGES = {
    "spice": N_("%(user)s got a file to open the screen of %(vm)s with remote-viewer."),
    "rdp": N_("%(user)s got a file to open %(vm)s by RDP, straight at its address."),
}


def note_viewer(actor: Actor, vm: VirtualMachine, endpoint: Endpoint) -> None:
    """Write down that a file was handed out with which the screen can be opened; once for each run and person."""
    if actor.user is None:
        return
    same = Session.objects.live().filter(user=actor.user, vm=vm, via=VIA, kind=endpoint.kind, boot_id=vm.boot_id)
    if same.update(last_seen_at=Now()):
        return
    session = Session.objects.create(
        user=actor.user,
        vm=vm,
        kind=endpoint.kind,
        via=VIA,
        address=actor.address,
        gateway="",
        boot_id=vm.boot_id,
        web_session=fingerprint(actor.session_key) if actor.session_key else "",
    )
    record(
        "session.opened",
        actor=actor,
        subject=vm,
        message=MESSAGES.get(endpoint.kind, MESSAGES["spice"]),
        user=actor.name,
        vm=vm,
        session=session.pk,
        via=VIA,
    )
    publish("session", session.pk, "opened")


def settle_viewers(actor: Actor) -> int:
    """Close those that cannot go on any more; returns how many. A constant number of queries beside what is closed."""
    from .actions.close_session import close_session  # the actions note viewers, too

    rows = list(Session.objects.live().filter(via=VIA).select_related("user", "vm"))
    if not rows:
        return 0
    may_use = entitled((row.user, row.vm_id) for row in rows)
    held_by = holders({row.vm_id for row in rows})
    closed = 0
    for row in rows:
        mine = (row.user_id, row.vm_id) in may_use and held_by.get(row.vm_id, row.user_id) == row.user_id
        if reason := _over(row, mine):
            closed += close_session(actor=actor, session=row.pk, reason=reason)
    return closed


def _over(row: Session, may_use: bool) -> str:
    if row.state != SessionState.OPEN:
        return row.close_reason or EndReason.ENDED
    if not row.user.is_active:
        return EndReason.DISABLED
    if not may_use:
        return EndReason.RIGHT_LOST
    if row.vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        return EndReason.STOPPED
    if row.vm.boot_id != row.boot_id:
        return EndReason.REBOOTED
    return EndReason.GONE if clock.now() - row.last_seen_at > VIEWER_ASSUMED else ""
