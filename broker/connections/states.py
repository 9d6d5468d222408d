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


class HelpState(StrEnum):
    ASKED = "asked"
    ALLOWED = "allowed"
    REFUSED = "refused"
    LAPSED = "lapsed"
    ENDED = "ended"


HELP = Machine(
    name="help",
    states=HelpState,
    initial=HelpState.ASKED,
    transitions={
        "allow": transition("asked", HelpState.ALLOWED),
        "refuse": transition("asked", HelpState.REFUSED),
        "lapse": transition("asked", HelpState.LAPSED),
        "end": transition("asked allowed", HelpState.ENDED),
    },
    meanings={
        HelpState.ASKED: N_("The question stands in the page of the person at the screen."),
        HelpState.ALLOWED: N_("The person allowed it; the helper may open the screen."),
        HelpState.REFUSED: N_("The person refused."),
        HelpState.LAPSED: N_("Nobody answered in time."),
        HelpState.ENDED: N_("One of the two ended it, or the person left."),
    },
    unstable={
        HelpState.ASKED: "connections.reconcile lets it lapse after two minutes.",
        HelpState.ALLOWED: "connections.reconcile ends it when the person who allowed it has left.",
    },
    sets={"standing": frozenset({HelpState.ASKED, HelpState.ALLOWED})},
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
    IDLE = "idle"
    CONSENT_ENDED = "consent-ended"
    TOO_MANY = "too-many"
    UNREACHABLE = "unreachable"
    GONE = "gone"
