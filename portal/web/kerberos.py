"""Directories whose people may sign in with a Kerberos ticket: their buttons on the sign-in page."""

from typing import Any, NamedTuple

from django.db.models import F

from broker.directories.models import Directory
from broker.sql import Statement

_OFFERED = Statement(
    lambda: (
        Directory.objects.filter(kind="ldap", enabled=True, config__kerberos=True)
        .order_by("order", "name")
        .annotate(silent=F("config__kerberos_silent"))
        .values_list("pk", "name", "silent")
    )
)


class Way(NamedTuple):
    """`silent`: the page tries it by itself, before anybody types."""

    pk: Any
    name: str
    silent: bool


def tickets() -> list[Way]:
    """In the order in which directories are asked."""
    return [Way(pk, name, silent in (True, "true", 1)) for pk, name, silent in _OFFERED.rows()]
