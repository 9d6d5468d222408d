"""Django's sessions in the database, read by a statement that is built once: every request reads one."""

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db.models import CharField
from django.utils import timezone

from broker.sql import Given, Statement, time

_VALID = Statement(
    lambda: (
        Session.objects.filter(session_key=Given("key", CharField()), expire_date__gt=time("now"))
        .order_by()
        .values_list("session_data", "expire_date")
    )
)


class SessionStore(DatabaseStore):
    """As its base in all but how a session is found."""

    def _get_session_from_db(self) -> Any:
        rows = _VALID.rows(key=self.session_key, now=timezone.now())
        if not rows:
            self._session_key: str | None = None
            return None
        data, expires = rows[0]
        return Session(session_key=self.session_key or "", session_data=data, expire_date=expires)
