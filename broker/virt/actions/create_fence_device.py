"""Tell Berth how to cut a host's power."""

from collections.abc import Mapping

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from broker.virt.ha import fencing, secret
from broker.virt.models import FenceDevice, Host

LONGEST_PASSWORD = 255


@transaction.atomic
def create_fence_device(
    *,
    actor: Actor,
    host: Host,
    agent: str,
    address: str,
    username: str = "",
    password: str = "",
    options: Mapping[str, str] | None = None,
) -> FenceDevice:
    """`agent`: of the package fence-agents; `options`: further ones of it. Devices are tried in the order they came.

    Raises Missing, Denied or Invalid.
    """
    require(actor, "host.manage", host)
    if agent not in fencing.AGENTS:
        raise Invalid(
            N_("There is no such agent for power management."), field="agent", fix=N_("Use one of: %(agents)s."),
            agents=", ".join(fencing.AGENTS),
        )  # fmt: skip
    address = names.title(address, field="address", longest=255)
    if not address or " " in address:
        raise Invalid(N_("This is not an address."), field="address", fix=N_("Give a name or an IP address."))
    if not password.isprintable() or len(password) > LONGEST_PASSWORD:
        raise Invalid(
            N_("This password cannot be given to an agent."), field="password",
            fix=N_("Use at most %(longest)s characters on one line."), longest=LONGEST_PASSWORD,
        )  # fmt: skip
    device = FenceDevice.objects.create(
        host=host,
        agent=agent,
        address=address,
        username=names.title(username, field="username", longest=64),
        secret=secret.sealed(password),
        options=fencing.checked_options(dict(options or {})),
        order=FenceDevice.objects.filter(host=host).count(),
    )
    record(
        "fence-device.created", actor=actor, subject=host, message=N_("%(name)s got the fence device %(device)s"),
        name=host.name, device=str(device),
    )  # fmt: skip
    publish("host", host.pk, "changed")
    return device
