"""What can be done with consoles; each refuses in the same order: right, input, state, quota."""

from .close_session import close_session
from .end_session import end_session, end_sessions_of
from .issue_ticket import IssuedTicket, issue_ticket
from .redeem_ticket import TicketRefused, redeem_ticket

__all__ = [
    "IssuedTicket",
    "TicketRefused",
    "close_session",
    "end_session",
    "end_sessions_of",
    "issue_ticket",
    "redeem_ticket",
]
