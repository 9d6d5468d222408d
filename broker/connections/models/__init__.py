"""Session (somebody at a machine's screen) and ConsoleTicket (the one-use key to it)."""

from .session import Session
from .ticket import ConsoleTicket

__all__ = ["ConsoleTicket", "Session"]
