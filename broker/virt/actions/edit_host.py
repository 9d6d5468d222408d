"""Change a host's name, its labels, and where it is reached."""

from collections.abc import Sequence

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Host
from broker.virt.ssh.host_key import normal
from broker.virt.states import HostState


@transaction.atomic
def edit_host(
    *,
    actor: Actor,
    host: Host,
    name: str | None = None,
    uri: str | None = None,
    labels: Sequence[str] | None = None,
    host_key: str | None = None,
) -> Host:
    """Write what is given (None: leave).

    A `host_key` of "" has the next key that the host shows over SSH count. The address changes in
    maintenance only; a host that then answers with another id is refused by the monitor.
    Raises Missing, Denied, Invalid, or Conflict (the name is taken, or the host is in use).
    """
    require(actor, "host.manage", host)
    wanted = {
        "name": None if name is None else names.name(name),
        "uri": None if uri is None else names.host_uri(uri),
        "host_key": None if host_key is None else normal(host_key),
        "labels": None if labels is None else names.labels(labels),
    }
    if wanted["uri"] not in (None, host.uri) and host.state != HostState.MAINTENANCE:
        raise Conflict(
            N_("The address of %(host)s cannot be changed while it is in use."),
            rule="host.in-use",
            about=host,
            fix=N_("Put the host into maintenance first."),
            host=host.name,
        )
    if rows.change(host, wanted):
        record("host.edited", actor=actor, subject=host, message=N_("Host %(name)s was changed"), name=host.name)
        publish("host", host.pk, "changed")
    return host
