"""Where whoever hears of a host (its agent, the keeper of its lease, another host) leaves the sign of life."""

from datetime import datetime

from broker.virt.models import Host, HostSign


def note(host: Host, source: str, at: datetime, *, by: str = "") -> None:
    """`at` is the teller's own time or counter: it only has to differ from the last. `by`: who saw it, of a peer."""
    if not HostSign.objects.filter(host=host, source=source, by=by).update(at=at):
        HostSign.objects.get_or_create(host=host, source=source, by=by, defaults={"at": at})
