"""API tokens of people whom nobody tells Berth about between two sign-ins: they count only some days after the last.

A provider (OpenID Connect, SAML) says nothing of somebody who is gone. Their sign-ins have a longest age; their tokens
would be good until they run out.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from .kinds import ELSEWHERE

if TYPE_CHECKING:
    from .models import Directory, User

USUAL_DAYS = 30
"""Also for rows from before there was the setting."""


def token_days(directory: "Directory") -> int:
    """How many days after their last sign-in the tokens of its people count; 0 where that does not matter.

    Kinds that are asked about people, or keep them here, know who is gone.
    """
    days: int = directory.config.get("token_days", USUAL_DAYS) if directory.kind in ELSEWHERE else 0
    return days


def tokens_end(user: "User") -> datetime | None:
    """Until when the user's tokens count unless they sign in again; None where that does not matter."""
    days = token_days(user.directory)
    return (user.last_login or user.created_at) + timedelta(days=days) if days else None
