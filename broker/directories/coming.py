"""When somebody last signed in: as Django notes it, by a statement that is built once."""

from typing import Any

from django.contrib.auth.signals import user_logged_in

from broker import sql
from broker.core import clock
from broker.sql import Given, Statement, written

from .models import User

_CAME = Statement(lambda: written(User).filter(pk=Given("user")).update(last_login=sql.time("now")))


def note_sign_ins() -> None:
    """Instead of Django's own receiver, which its app of users connected before."""
    user_logged_in.disconnect(dispatch_uid="update_last_login")
    user_logged_in.connect(_came, dispatch_uid="directories.came")


def _came(sender: Any, user: User, **kwargs: Any) -> None:
    user.last_login = clock.now()
    _CAME.run(user=user.pk, now=user.last_login)
