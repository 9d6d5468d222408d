"""What a host's page says of its agent and its certificate."""

from django.utils.translation import gettext as _

from broker.core import clock
from broker.virt.models import Host, HostAgent, HostCertificate
from portal.web.parts import Pair
from portal.web.words import Mark

LATE_SECONDS = 30
SOON_DAYS = 30


def agent_pairs(host: Host) -> list[Pair]:
    agent = HostAgent.objects.filter(host=host).first()
    if agent is None:
        return [Pair(_("Agent"), _("none"))]
    pairs = [Pair(_("Agent"), mark=_agent(agent)), Pair(_("Leases on storage"), mark=_leases(agent))]
    if agent.told:
        pairs.append(Pair(_("Hardware watchdog"), _("fed by the agent") if agent.told.get("watchdog") else _("none")))
    certificate = HostCertificate.objects.filter(host=host).first()
    if certificate is not None:
        pairs.append(Pair(_("Certificate ends"), mark=_certificate(certificate)))
    return pairs


def _agent(agent: HostAgent) -> Mark:
    if agent.seen_at is None:
        return Mark(_("not heard of yet"), "idle")
    late = (clock.now() - agent.seen_at).total_seconds() > LATE_SECONDS
    return Mark(_("silent"), "bad") if late else Mark(_("reports"), "good")


def _leases(agent: HostAgent) -> Mark:
    own = agent.told.get("own") or {}
    if agent.told.get("late"):
        return Mark(_("over: its machines there were stopped"), "bad")
    if not own:
        return Mark(_("none"), "idle")
    held = sum(state == "held" for state in own.values())
    return Mark(_("%(held)s of %(all)s held") % {"held": held, "all": len(own)}, "good" if held == len(own) else "warn")


def _certificate(row: HostCertificate) -> Mark:
    days = (row.until - clock.now()).days
    if days < 0:
        return Mark(_("ended %(date)s") % {"date": f"{row.until:%Y-%m-%d}"}, "bad")
    return Mark(f"{row.until:%Y-%m-%d}", "warn" if days < SOON_DAYS else "good")
