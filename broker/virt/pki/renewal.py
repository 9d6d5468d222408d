"""Certificates of hosts renew by themselves: the agent sends a new key's request when the manager wants one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt.models import Host, HostCertificate

from .authority import DAYS, Issued, issue

AGENTS = Actor.system("host agent")
RENEW_LEFT = timedelta(days=DAYS / 3)


def certify(host: Host, request: str) -> Issued:
    """A certificate for the host's key; what it had stays valid until its end, so nothing is cut off."""
    issued = issue(request, name=host.name.lower(), address=host.address)
    HostCertificate.objects.update_or_create(
        host=host, defaults={"certificate": issued.certificate, "until": issued.until, "warned": None}
    )
    return issued


def renewal(host: Host, given: Mapping[str, Any]) -> dict[str, Any]:
    """For the answer to a report: a new certificate for the request in it, or that one is wanted."""
    row = HostCertificate.objects.filter(host=host).first()
    if row is None or row.until - clock.now() > RENEW_LEFT:
        return {}
    asked = given.get("csr")
    if not isinstance(asked, str):
        return {"renew": True}
    issued = certify(host, asked)
    record("host.certified", actor=AGENTS, subject=host, name=host.name, until=f"{issued.until:%Y-%m-%d}",
           message=N_("The certificate of %(name)s was renewed; it is good until %(until)s"))  # fmt: skip
    return {"certificate": issued.certificate, "authority": issued.authority}
