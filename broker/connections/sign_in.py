"""Whether sign-ins are still good: the Django session is there, not expired, and belongs to the user as they are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as WebSession
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

if TYPE_CHECKING:
    from broker.directories.models import User


def good_sign_ins(pairs: Iterable[tuple[str, "User"]]) -> set[tuple[str, str]]:
    """Of (session key, user) pairs, those that are signed in: (session key, user id). One query for all.

    A changed password ends older sign-ins, as Django itself has it (get_user in django.contrib.auth).
    """
    wanted = list(pairs)
    rows = WebSession.objects.filter(session_key__in={key for key, _ in wanted}, expire_date__gt=Now())
    contents = {row.session_key: SessionStore().decode(row.session_data) for row in rows}
    return {(key, str(user.pk)) for key, user in wanted if key in contents and _belongs(contents[key], user)}


def _belongs(content: dict[str, str], user: "User") -> bool:
    return str(content.get(SESSION_KEY)) == str(user.pk) and constant_time_compare(
        str(content.get(HASH_SESSION_KEY)), user.get_session_auth_hash()
    )
