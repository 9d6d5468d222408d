"""Why a console ends: THE table of websocket close codes, shared by both engines and by the console page.

The code and the short name travel in the websocket's close frame; the page shows `text` for the name and
asks for a fresh ticket by itself where `again` is true. Codes 4000-4999 are free for applications
(RFC 6455, section 7.4.2); the others keep the meaning the RFC gives them.
"""

from dataclasses import dataclass

from broker.core.text import gettext_noop as N_


@dataclass(frozen=True, slots=True)
class Closing:
    """One reason. `name` is stable and fits a close frame (<= 123 bytes); `again`: a new ticket may help at once."""

    code: int
    name: str
    text: str
    again: bool = False


FINISHED = Closing(1000, "finished", N_("The console was closed."))
PROTOCOL = Closing(1002, "protocol", N_("The browser sent something the console does not understand."))
UNSUPPORTED = Closing(1003, "unsupported", N_("The browser sent text where only binary data is allowed."))
FLOOD = Closing(1008, "flood", N_("The browser sent too many control messages."))
TOO_BIG = Closing(1009, "too-big", N_("The browser sent too much at once."))
INTERNAL = Closing(1011, "internal", N_("The console gateway made a mistake; its log has the details."), again=True)
RESTARTING = Closing(
    1012, "restarting", N_("The console gateway restarts. The console comes back by itself."), again=True
)
OVERLOADED = Closing(1013, "overloaded", N_("The console gateway is full. Try again in a minute."), again=True)

SIGNED_OUT = Closing(4401, "signed-out", N_("You signed out. Sign in to go on."))
RIGHT_LOST = Closing(4403, "right-lost", N_("You may no longer use this machine. Ask whoever manages it."))
TICKET = Closing(4404, "ticket", N_("The ticket for this console was used before or has expired."), again=True)
DISABLED = Closing(4405, "disabled", N_("Your account was disabled. Ask your administrator."))
FOREIGN = Closing(
    4406, "foreign", N_("The ticket for this console belongs to another sign-in. Open the console again.")
)
TIME_LIMIT = Closing(4408, "time-limit", N_("The time limit of this session was reached."))
REPLACED = Closing(4409, "replaced", N_("This desktop was opened on another device."))
TAKEN_BACK = Closing(4410, "taken-back", N_("The desktop was taken back."))
STOPPED = Closing(4411, "stopped", N_("The machine was stopped. Start it to go on."))
REBOOTED = Closing(4412, "rebooted", N_("The machine was started anew. The console comes back by itself."), again=True)
ENDED = Closing(4413, "ended", N_("An administrator ended this session."))
NO_ANSWER = Closing(4414, "no-answer", N_("The browser did not answer; the connection seems broken."), again=True)
LOST = Closing(4415, "lost", N_("The machine closed its screen: it was stopped, moved or started anew."), again=True)
GONE = Closing(
    4416, "gone", N_("The console gateway stopped unexpectedly. The console comes back by itself."), again=True
)
IDLE = Closing(4417, "idle", N_("Nothing was typed for a long time; the connection was closed."))
CONSENT_ENDED = Closing(4418, "consent-ended", N_("The person whose desktop this is ended your access to the screen."))
WITHHELD = Closing(4419, "withheld", N_("Who only looks on may not use this part of the screen."))
RDP_ENDED = Closing(
    4420, "rdp-ended",
    N_("The remote desktop closed the connection: user name or password were not right, or you signed out there."),
)  # fmt: skip
TOO_MANY = Closing(4429, "too-many", N_("You have too many consoles open. Close one and try again."))
UNREACHABLE = Closing(
    4502, "unreachable", N_("The machine's screen cannot be reached. Its host may be down."), again=True
)
NONSENSE = Closing(4504, "nonsense", N_("The machine's screen answered something else than a picture."))
SLOW = Closing(4508, "slow", N_("Opening the console took too long."), again=True)

ALL: tuple[Closing, ...] = (
    FINISHED,
    PROTOCOL,
    UNSUPPORTED,
    FLOOD,
    TOO_BIG,
    INTERNAL,
    RESTARTING,
    OVERLOADED,
    SIGNED_OUT,
    RIGHT_LOST,
    TICKET,
    DISABLED,
    FOREIGN,
    TIME_LIMIT,
    REPLACED,
    TAKEN_BACK,
    STOPPED,
    REBOOTED,
    ENDED,
    NO_ANSWER,
    LOST,
    GONE,
    IDLE,
    CONSENT_ENDED,
    WITHHELD,
    RDP_ENDED,
    TOO_MANY,
    UNREACHABLE,
    NONSENSE,
    SLOW,
)
BY_NAME = {closing.name: closing for closing in ALL}
BY_CODE = {closing.code: closing for closing in ALL}


def for_page() -> list[dict[str, object]]:
    """The table as plain data for the console page (`json_script`); the caller translates `text`."""
    return [{"code": c.code, "name": c.name, "text": c.text, "again": c.again} for c in ALL]
