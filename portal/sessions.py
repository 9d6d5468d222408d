"""Django's sessions in the database, by statements that are built once: every request reads one."""

import base64
import secrets
from contextlib import nullcontext
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db import IntegrityError, connection, transaction
from django.db.models import CharField
from django.utils import timezone

from broker.sql import Given, Statement, add, given, time, written

_VALID = Statement(
    lambda: (
        Session.objects.filter(session_key=Given("key", CharField()), expire_date__gt=time("now"))
        .order_by()
        .values_list("session_data", "expire_date")
    )
)

_WRITE = Statement(
    lambda: (
        written(Session)
        .filter(session_key=Given("key", CharField()))
        .update(**given(Session, "session_data", "expire_date"))
    )
)


class SessionStore(DatabaseStore):
    """As its base in all but how a session is found and written."""

    def _get_new_session_key(self) -> str:
        # That nobody has it is for the INSERT to say: create() takes another one then.
        # One reading of the system's randomness where Django has one for each letter: 160 bits, in its alphabet.
        return base64.b32encode(secrets.token_bytes(20)).decode().lower()

    def cycle_key(self) -> None:
        """A new key for what is in it. Of one that is in no database yet nothing has to be written before its end."""
        if self.session_key is not None:
            super().cycle_key()
            return
        self._session_key = self._get_new_session_key()
        self._unwritten = self.modified = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        must_create = must_create or getattr(self, "_unwritten", False)
        content = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # missing in the stubs
        row = self.create_model_instance(content)
        if must_create:
            try:
                # Only inside of a transaction a refused INSERT has to be taken back.
                with transaction.atomic() if connection.in_atomic_block else nullcontext():
                    add(row)
            except IntegrityError:
                raise CreateError from None
            self._unwritten = False
        elif not _WRITE.run(key=row.session_key, session_data=row.session_data, expire_date=row.expire_date):
            raise UpdateError
        return None

    def _get_session_from_db(self) -> Any:
        rows = _VALID.rows(key=self.session_key, now=timezone.now())
        if not rows:
            self._session_key: str | None = None
            return None
        data, expires = rows[0]
        return Session(session_key=self.session_key or "", session_data=data, expire_date=expires)
