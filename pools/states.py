"""The lives of pools and desktops."""

from enum import StrEnum
from typing import Any

from broker.core.states import Machine, transition
from broker.core.text import gettext_noop as N_


class DesktopState(StrEnum):
    BUILDING = "building"
    FREE = "free"
    ASSIGNED = "assigned"
    RESETTING = "resetting"
    RETIRING = "retiring"
    BROKEN = "broken"


DESKTOP = Machine(
    name="desktop",
    states=DesktopState,
    initial=DesktopState.BUILDING,
    transitions={
        "built": transition("building", DesktopState.FREE),
        "assign": transition("free", DesktopState.ASSIGNED),
        "release": transition("assigned", DesktopState.FREE),
        "release_reset": transition("assigned", DesktopState.RESETTING),
        "reset": transition("free broken", DesktopState.RESETTING),
        "reset_done": transition("resetting", DesktopState.FREE),
        "retire": transition("free broken building", DesktopState.RETIRING),
        "keep": transition("retiring", DesktopState.BROKEN),
        "break": transition("building free resetting", DesktopState.BROKEN),
        "mend": transition("broken", DesktopState.FREE),
    },
    meanings={
        DesktopState.BUILDING: N_("Its machine is being made."),
        DesktopState.FREE: N_("Nobody has it; it can be handed out, running or not."),
        DesktopState.ASSIGNED: N_("Somebody has it."),
        DesktopState.RESETTING: N_("Given back; what its user left is being removed."),
        DesktopState.RETIRING: N_("It is being removed from the pool."),
        DesktopState.BROKEN: N_("It could not be made or reset; it is not handed out."),
    },
    unstable={
        DesktopState.BUILDING: "pools.reconcile: built when its machine is ready, broken when the job ended otherwise.",
        DesktopState.RESETTING: "pools.reconcile: enqueues the reset again until it succeeds or the desktop is broken.",
        DesktopState.RETIRING: "pools.reconcile: enqueues the deletion again; the row goes with its machine.",
    },
    ends=frozenset({DesktopState.BUILDING, DesktopState.RETIRING}),
    sets={
        "available": frozenset({DesktopState.FREE}),
        "counted": frozenset(DesktopState) - {DesktopState.RETIRING},
    },
)


class PoolState(StrEnum):
    ACTIVE = "active"
    DELETING = "deleting"


POOL = Machine(
    name="pool",
    states=PoolState,
    initial=PoolState.ACTIVE,
    transitions={"delete": transition("active", PoolState.DELETING)},
    meanings={
        PoolState.ACTIVE: N_("Desktops are made, kept ready and handed out."),
        PoolState.DELETING: N_("No desktop is handed out; the pool goes when its last desktop has gone."),
    },
    unstable={PoolState.DELETING: "pools.reconcile: retires its desktops and removes the row after the last."},
    ends=frozenset({PoolState.DELETING}),
    sets={"open": frozenset({PoolState.ACTIVE})},
)


class RolloutState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    ENDED = "ended"


ROLLOUT = Machine(
    name="rollout",
    states=RolloutState,
    initial=RolloutState.RUNNING,
    transitions={
        "stop": transition("running", RolloutState.PAUSED),
        "resume": transition("paused", RolloutState.RUNNING),
        "finish": transition("running paused", RolloutState.DONE),
        "end": transition("running paused", RolloutState.ENDED),
    },
    meanings={
        RolloutState.RUNNING: N_("Free desktops are rebuilt, the others when they are given back."),
        RolloutState.PAUSED: N_("No further desktop is rebuilt until somebody lets it go on."),
        RolloutState.DONE: N_("All desktops are of the version."),
        RolloutState.ENDED: N_("Another version came before it was done, or it was rolled back."),
    },
    unstable={
        RolloutState.RUNNING: "pools.reconcile: done when no desktop is of another version any more.",
        RolloutState.PAUSED: "Somebody resumes it or rolls back; done by pools.reconcile when nothing is left to do.",
    },
    sets={"open": frozenset({RolloutState.RUNNING, RolloutState.PAUSED})},
)


class BookingState(StrEnum):
    BOOKED = "booked"
    TAKEN = "taken"
    OVER = "over"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"


BOOKING = Machine(
    name="booking",
    states=BookingState,
    initial=BookingState.BOOKED,
    transitions={
        "come": transition("booked", BookingState.TAKEN),
        "end": transition("booked taken", BookingState.OVER),
        "lapse": transition("booked", BookingState.LAPSED),
        "cancel": transition("booked", BookingState.CANCELLED),
    },
    meanings={
        BookingState.BOOKED: N_("A desktop of the pool is kept for that time."),
        BookingState.TAKEN: N_("Its user has the desktop, until the end of that time."),
        BookingState.OVER: N_("The time is over, or the desktop was given back before."),
        BookingState.LAPSED: N_("Nobody came in time; the desktop was free for others."),
        BookingState.CANCELLED: N_("It was taken back before it began."),
    },
    unstable={
        BookingState.BOOKED: "pools.bookings: lapsed when nobody has come in time, over at the end of a block.",
        BookingState.TAKEN: "pools.sessions: gives the desktop back at the end; pools.bookings: over without one.",
    },
    sets={"open": frozenset({BookingState.BOOKED, BookingState.TAKEN})},
)


def note(desktop: Any, event: str) -> None:
    """Let an instance say what an `attempt` on its row has written."""
    desktop.state = DESKTOP.transitions[event].target
