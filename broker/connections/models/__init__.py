"""ConsolePolicy, Session (somebody at a screen), ConsoleTicket (its one-use key), Recording, and what is beside."""

from .guest import Guest
from .help import Help
from .message import Message
from .policy import ConsolePolicy
from .recording import Recording
from .session import Session
from .share import Share
from .sign_on import SignOn
from .ticket import ConsoleTicket
from .timing import SessionTiming, TimingTotal

__all__ = [
    "ConsolePolicy",
    "ConsoleTicket",
    "Guest",
    "Help",
    "Message",
    "Recording",
    "Session",
    "SessionTiming",
    "Share",
    "SignOn",
    "TimingTotal",
]
