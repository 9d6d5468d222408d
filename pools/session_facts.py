"""What is known of the people at a pool's desktops: rows of sessions and of the guest, made into Facts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from broker.connections.models import Session
from broker.connections.states import SessionState
from broker.connections.viewer import VIA
from broker.virt.driver import PowerState
from broker.virt.guest_orders import people_in

from .models import Booking, Desktop, Sitting
from .session_rules import Facts

AWAY = timedelta(minutes=5)
"""Who comes back later than this begins a new session, with the whole of its longest time."""


@dataclass(frozen=True, slots=True)
class Screens:
    """A holder's screens at one desktop since they have it. `opened_at`: of those open now, the first."""

    opened_at: datetime | None = None
    input_at: datetime | None = None
    closed_at: datetime | None = None


def screens_at(desktops: Sequence[Desktop]) -> dict[UUID, Screens]:
    """Of held desktops, the holders' screens: one query."""
    held = {desktop.pk: desktop for desktop in desktops}
    rows: Any = (
        Session.objects.own()
        .filter(vm__in=held, user__in={desktop.holder_id for desktop in desktops})
        .values("vm_id", "user_id", "state", "via", "opened_at", "last_input_at", "closed_at", "last_seen_at")
    )
    grouped: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        desktop = held[row["vm_id"]]
        if row["user_id"] == desktop.holder_id and desktop.held_since and row["opened_at"] >= desktop.held_since:
            grouped[desktop.pk].append(row)
    return {pk: _screens(found, cut=_cut(held[pk])) for pk, found in grouped.items()}


def _cut(desktop: Desktop) -> datetime | None:
    sitting = sitting_of(desktop)
    return sitting.cut_at if sitting else None


def sitting_of(desktop: Desktop) -> Sitting | None:
    """The desktop's sitting, if it is that of its present holder."""
    sitting = getattr(desktop, "sitting", None)
    return sitting if sitting is not None and sitting.held_since == desktop.held_since else None


def booking_of(desktop: Desktop) -> Booking | None:
    """The booking by which its holder has the desktop, if its pool is booked; `booking` should be loaded."""
    return getattr(desktop, "booking", None)


def _screens(rows: Iterable[dict[str, Any]], *, cut: datetime | None) -> Screens:
    live = [row for row in rows if row["state"] == SessionState.OPEN and (cut is None or row["opened_at"] > cut)]
    gone = [row["closed_at"] or row["last_seen_at"] for row in rows if row["state"] != SessionState.OPEN]
    # What is typed into remote-viewer passes no gateway: nobody can say that it is idle.
    typed = [] if any(row["via"] == VIA for row in live) else [row["last_input_at"] or row["opened_at"] for row in live]
    return Screens(
        opened_at=min((row["opened_at"] for row in live), default=None),
        input_at=max(typed, default=None),
        closed_at=max(gone, default=None),
    )


def see(desktop: Desktop, screens: Screens, now: datetime) -> Sitting:
    """The desktop's sitting as it is now (not saved); a new one for a new holder."""
    sitting = sitting_of(desktop) or Sitting(desktop=desktop, held_since=desktop.held_since or now)
    if screens.opened_at is not None:
        away = screens.opened_at - sitting.left_at if sitting.left_at else timedelta(0)
        if sitting.began_at is None or away > AWAY:
            sitting.began_at, sitting.extended, sitting.extensions = screens.opened_at, 0, 0
        sitting.left_at, sitting.input_at = None, screens.input_at
    elif screens.closed_at is not None and sitting.left_at is None:
        sitting.began_at = sitting.began_at or screens.closed_at
        sitting.left_at = screens.closed_at
    _see_guest(desktop, sitting, now)
    return sitting


def _see_guest(desktop: Desktop, sitting: Sitting, now: datetime) -> None:
    """The guest's own login: only what one and the same run told counts, for a reboot is no logging off."""
    vm = desktop.vm
    if not vm.guest.get("agent") or vm.power_state != PowerState.RUNNING:
        return
    if people_in(vm.guest):
        sitting.guest_boot, sitting.logged_off_at = vm.boot_id, None
    elif sitting.guest_boot and sitting.guest_boot == vm.boot_id:
        sitting.guest_boot, sitting.logged_off_at = "", vm.guest_at or now
    elif sitting.guest_boot:
        sitting.guest_boot = ""


def facts_of(desktop: Desktop, sitting: Sitting, screens: Screens) -> Facts:
    return Facts(
        running=desktop.vm.power_state in (PowerState.RUNNING, PowerState.PAUSED),
        connected=screens.opened_at is not None,
        began_at=sitting.began_at,
        left_at=sitting.left_at,
        input_at=sitting.input_at,
        logged_off_at=sitting.logged_off_at,
        booked_until=booking.end if (booking := booking_of(desktop)) else None,
        extended=timedelta(seconds=sitting.extended),
        done={name: datetime.fromisoformat(act["base"]) for name, act in sitting.acts.items()},
    )
