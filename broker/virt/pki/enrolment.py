"""A host enrols with its invitation's code: it gets its certificate, an agent's identity and a row.

The code never travels: it proves what is sent (agent/wire.py), and the agent's secret is derived from it on both sides.
"""

import json
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Denied, Invalid
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import reports, rows
from broker.virt.agent import wire
from broker.virt.models import Host, HostAgent, HostInvitation

from .renewal import certify

_SEALER = Sealer("host invitation")


def sealed(code: str) -> str:
    """For the invitation's `secret`."""
    return _SEALER.seal(code)


def enrol(body: bytes, code: str) -> tuple[bytes, str]:
    """Take a host in; returns the answer with its code. Raises Denied, Invalid or Conflict (the name is taken)."""
    given = _read(body)
    invitation = _invitation(given.get("invitation"))
    secret = _opened(invitation) if invitation else ""
    if invitation is None or not secret or not wire.fits(secret, "enrol", body, code):
        raise Denied(
            N_("This code is not valid, was used, or is too old."), rule="host.invitation",
            fix=N_("Ask for a new one on the page of hosts."),
        )  # fmt: skip
    with transaction.atomic():
        free = HostInvitation.objects.filter(pk=invitation.pk, used_at__isnull=True)
        if not free.update(used_at=clock.now()):
            raise Denied(N_("This code was used."), rule="host.invitation", fix=N_("Ask for a new one."))
        host = _host(invitation)
        issued = certify(host, str(given.get("csr")))
        HostAgent.objects.update_or_create(
            host=host, defaults={"secret": reports.sealed(wire.derived(secret, str(host.pk))), "count": 0, "told": {}}
        )
        actor = Actor.for_user(invitation.user) if invitation.user else Actor.system("invitation")
        record("host.enrolled", actor=actor, subject=host, name=host.name, message=N_("%(name)s was enrolled"))
        publish("host", host.pk, "created")
    answer = wire.packed(
        {
            "count": given.get("count"), "host": str(host.pk), "certificate": issued.certificate,
            "authority": issued.authority, **reports.orders(host),
        }
    )  # fmt: skip
    return answer, wire.code(secret, "enrol answer", answer)


def uri_for(address: str) -> str:
    """How libvirt on an enrolled host is reached."""
    return f"qemu+tls://[{address}]/system" if ":" in address else f"qemu+tls://{address}/system"


def _host(invitation: HostInvitation) -> Host:
    reached = {"uri": uri_for(invitation.address), "address": invitation.address}
    if invitation.host is not None:
        rows.change(invitation.host, reached)
        return invitation.host
    host = Host(cluster=invitation.cluster, name=invitation.name, **reached)
    rows.insert(host)
    return host


def _read(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Invalid(N_("This is no enrolment."), field="body", fix=N_("Use the command that Berth shows."))
    return given


def _invitation(name: object) -> HostInvitation | None:
    try:
        rows_ = HostInvitation.objects.select_related("host__cluster", "cluster", "user")
        return rows_.filter(pk=UUID(str(name)), used_at__isnull=True, until__gt=clock.now()).first()
    except ValueError:
        return None


def _opened(invitation: HostInvitation) -> str:
    try:
        return _SEALER.open(invitation.secret)
    except CannotOpen:
        return ""
