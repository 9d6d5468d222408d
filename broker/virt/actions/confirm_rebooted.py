"""Say that a silent host was rebooted or is off, so that its machines may be restarted elsewhere."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt.ha import moments
from broker.virt.models import Host, HostHealth


@transaction.atomic
def confirm_rebooted(*, actor: Actor, host: Host) -> Host:
    """It counts as evidence from now until the host answers again; the next look at the hosts goes by it.

    Raises Missing, Denied, or Conflict (the host answers).
    """
    require(actor, "host.manage", host)
    silent = HostHealth.objects.filter(host=host, silent_since__isnull=False)
    if not silent.update(confirmed_at=moments.now()):
        raise Conflict(
            N_("%(host)s answers: nothing needs to be confirmed."),
            rule="host.silent",
            fix=N_("Confirm it only of a host that does not answer, and only when you saw that it is off or rebooted."),
            host=host.name,
        )
    record(
        "host.confirmed-rebooted", actor=actor, subject=host, severity="warning", name=host.name,
        message=N_("It was confirmed that %(name)s was rebooted"),
    )  # fmt: skip
    return host
