"""ConsolePolicy, Session (somebody at a screen), ConsoleTicket (the one-use key to it), Help, Share, Message."""

from .help import Help
from .message import Message
from .policy import ConsolePolicy
from .session import Session
from .share import Share
from .ticket import ConsoleTicket
from .timing import SessionTiming, TimingTotal

__all__ = [
    "ConsolePolicy",
    "ConsoleTicket",
    "Help",
    "Message",
    "Session",
    "SessionTiming",
    "Share",
    "TimingTotal",
]
