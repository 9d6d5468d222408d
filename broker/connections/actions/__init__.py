"""What can be done with consoles; each refuses in the same order: right, input, state, quota."""

from .answer_help import answer_help
from .ask_help import ask_help
from .begin_recording import begin_recording
from .close_session import close_session
from .create_share import CreatedShare, create_share
from .delete_recording import delete_recording
from .end_help import end_help
from .end_recording import end_recording
from .end_session import end_session, end_sessions_of
from .end_share import end_share
from .issue_ticket import IssuedTicket, issue_ticket
from .open_share import open_share
from .play_recording import play_recording
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
    "begin_recording",
    "close_session",
    "create_share",
    "delete_recording",
    "end_help",
    "end_recording",
    "end_session",
    "end_sessions_of",
    "end_share",
    "issue_ticket",
    "open_share",
    "play_recording",
    "read_message",
    "redeem_ticket",
    "send_message",
    "set_console_policy",
]
