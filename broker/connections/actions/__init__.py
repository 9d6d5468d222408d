"""What can be done with consoles; each refuses in the same order: right, input, state, quota.

Those of recordings are imported from their modules: a gateway that records nothing is smaller without them.
"""

from .answer_help import answer_help
from .ask_help import ask_help
from .close_session import close_session
from .create_share import CreatedShare, create_share
from .end_help import end_help
from .end_session import end_session, end_sessions_of
from .end_share import end_share
from .issue_ticket import IssuedTicket, issue_ticket
from .open_share import open_share
from .read_message import read_message
from .redeem_ticket import TicketRefused, redeem_ticket
from .send_message import send_message
from .set_console_policy import set_console_policy

__all__ = [
    "CreatedShare",
    "IssuedTicket",
    "TicketRefused",
    "answer_help",
    "ask_help",
    "close_session",
    "create_share",
    "end_help",
    "end_session",
    "end_sessions_of",
    "end_share",
    "issue_ticket",
    "open_share",
    "read_message",
    "redeem_ticket",
    "send_message",
    "set_console_policy",
]
