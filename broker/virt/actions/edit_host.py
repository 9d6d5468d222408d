"""Change a host's name, its labels, where it is reached, and whether it may be switched off to save power."""

from collections.abc import Sequence

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
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
    may_sleep: bool | None = None,
) -> Host:
    """Write what is given (None: leave).

    A `host_key` of "" has the next key that the host shows over SSH count. The address changes in
    maintenance only; a host that then answers with another id is refused by the monitor.
    `may_sleep`: it may be switched off to save power, which needs a fence device; one that sleeps is woken first.
    Raises Missing, Denied, Invalid, or Conflict (the name is taken, or the host is in use).
    """
    require(actor, "host.manage", host)
    wanted = {
        "name": None if name is None else names.name(name),
        "uri": None if uri is None else names.host_uri(uri),
        "host_key": None if host_key is None else normal(host_key),
        "labels": None if labels is None else names.labels(labels),
        "may_sleep": may_sleep,
    }
    if may_sleep and not host.may_sleep and not host.fence_devices.exists():
        raise Invalid(
            N_("%(host)s has no fence device, so it could not be switched on again."), field="may_sleep",
            fix=N_("Add one on its page, under Availability."), host=host.name,
        )  # fmt: skip
    if may_sleep is False and host.state == HostState.ASLEEP:
        raise Conflict(
            N_("%(host)s is switched off to save power."), rule="power.asleep", about=host, host=host.name,
            fix=N_("Wake the host first."),
        )  # fmt: skip
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
