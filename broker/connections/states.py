"""The life of a session, the reasons for its end, and the only places that write them."""

from enum import StrEnum

from broker.core.states import Machine, transition
from broker.core.text import gettext_noop as N_


class SessionState(StrEnum):
    OPEN = "open"
    ENDING = "ending"
    CLOSED = "closed"


SESSION = Machine(
    name="session",
    states=SessionState,
    initial=SessionState.OPEN,
    transitions={
        "end": transition("open", SessionState.ENDING),
        "close": transition("open ending", SessionState.CLOSED),
    },
    meanings={
        SessionState.OPEN: N_("Somebody is at the machine's screen."),
        SessionState.ENDING: N_("It was told to end; its gateway hears of it within ten seconds."),
        SessionState.CLOSED: N_("It is over; the reason says why."),
    },
    unstable={SessionState.ENDING: "connections.reconcile closes it when its gateway is gone."},
    sets={"live": frozenset({SessionState.OPEN, SessionState.ENDING})},
)


class EndReason(StrEnum):
    """Why a session ended or a ticket opened nothing. The words are those of the gateway's close frames."""

    SIGNED_OUT = "signed-out"
    RIGHT_LOST = "right-lost"
    TICKET = "ticket"
    DISABLED = "disabled"
    FOREIGN = "foreign"
    TIME_LIMIT = "time-limit"
    REPLACED = "replaced"
    TAKEN_BACK = "taken-back"
    STOPPED = "stopped"
    REBOOTED = "rebooted"
    ENDED = "ended"
    TOO_MANY = "too-many"
    UNREACHABLE = "unreachable"
    GONE = "gone"
