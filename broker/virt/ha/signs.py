"""Where whoever hears of a host (its agent, the keeper of its lease, another host) leaves the sign of life."""

from datetime import datetime

from django.db.models import CharField

from broker.sql import Given, Statement, given, written
from broker.virt.models import Host, HostSign

from .judge import LEASE


def looked(host: Host, at: datetime, *, by: str, looked_at: datetime, promise: float = 0.0) -> None:
    """Somebody looked at the host's lease on a storage (`by`) at `looked_at`, and it stood at `at`.

    Any other value than before counts as a renewal: a look that was late may take an old one for new, and then the
    host is taken for alive, never for dead.
    """
    note(host, LEASE, at, by=by)
    mine = HostSign.objects.filter(host=host, source=LEASE, by=by)
    mine.exclude(looked_at__gt=looked_at).update(looked_at=looked_at)
    mine.exclude(promise=promise).update(promise=promise)


def note(host: Host, source: str, at: datetime, *, by: str = "") -> None:
    """`at` is the teller's own time or counter: it only has to differ from the last. `by`: who saw it, of a peer."""
    if not _MOVE.run(host=host.pk, source=source, by=by, at=at):
        HostSign.objects.get_or_create(host=host, source=source, by=by, defaults={"at": at})


_TEXT = CharField()
_MOVE = Statement(
    lambda: (
        written(HostSign)
        .filter(host=Given("host"), source=Given("source", _TEXT), by=Given("by", _TEXT))
        .update(**given(HostSign, "at"))
    )
)
