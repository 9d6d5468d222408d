"""Let a machine enrol as a host: a code that is good once and for an hour."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import names
from broker.virt.models import Cluster, Host, HostInvitation
from broker.virt.pki.enrolment import sealed, uri_for
from broker.virt.states import HostState

GOOD_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Invited:
    """`code` is told here and never again."""

    invitation: HostInvitation
    code: str


@transaction.atomic
def invite_host(*, actor: Actor, cluster: Cluster, name: str, address: str) -> Invited:
    """`address`: where Berth and the other hosts reach it; its certificate is for that name and no other.

    A host of this name in the cluster is enrolled anew. Raises Missing, Denied, Invalid, or Conflict (name or address
    are another host's).
    """
    require(actor, "host.manage", cluster)
    name, address = names.name(name), names.server(address, field="address")
    known = Host.objects.filter(name=name).first()
    if known is not None and known.cluster_id != cluster.pk:
        raise Conflict(
            N_("There is already a host called %(name)s."), rule="name.taken", fix=N_("Choose another name."), name=name
        )
    if Host.objects.filter(address__iexact=address).exclude(name=name).exists():
        raise Conflict(
            N_("Another host has the address %(address)s."), rule="host.address",
            fix=N_("Give the address of this machine, or remove the other host."), address=address,
        )  # fmt: skip
    if known is not None and known.uri != uri_for(address) and known.state != HostState.MAINTENANCE:
        raise Conflict(
            N_("%(name)s is in use under another address."), rule="host.in-use",
            fix=N_("Put the host into maintenance first."), name=name,
        )  # fmt: skip
    code = "-".join(secrets.token_hex(4) for _ in range(4))
    HostInvitation.objects.filter(until__lt=clock.now()).delete()
    invitation = HostInvitation.objects.create(
        cluster=cluster, host=known, name=name, address=address, secret=sealed(code), user=actor.user,
        until=clock.now() + GOOD_FOR,
    )  # fmt: skip
    record(
        "host.invited", actor=actor, subject=cluster, name=name, address=address,
        message=N_("A code to enrol %(name)s (%(address)s) was made"),
    )  # fmt: skip
    return Invited(invitation, code)
