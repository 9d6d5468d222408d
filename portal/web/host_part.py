"""What a host's page says of its agent, its certificate and what was checked on it."""

from django.utils.translation import gettext as _

from broker.core import clock
from broker.virt.host_checks import Finding, findings
from broker.virt.models import Host, HostAgent, HostCertificate
from portal.web.parts import Cell, Related, Row
from portal.web.words import Mark

LATE_SECONDS = 30
SOON_DAYS = 30


def agent_part(host: Host) -> Related:
    """A table of what was looked at, what was found, and what helps."""
    agent, heads = HostAgent.objects.filter(host=host).first(), [_("What, and what helps"), _("Found")]
    empty = _("It has no agent: its machines are restarted elsewhere only when its power is cut or you confirm that it "
              "was rebooted. “Enrol a machine” with its name gives it one.")  # fmt: skip
    if agent is None:
        return Related(_("Agent and checks"), heads, [], empty)
    rows = [
        _row(_("Agent"), _agent(agent), _("Look at berth-agent.service on the host.")),
        _row(_("Leases on storage"), _leases(agent), _("Look at the storage, and at the agent's log on the host.")),
    ]
    certificate = HostCertificate.objects.filter(host=host).first()
    if certificate is not None:
        rows.append(_row(_("Certificate ends"), _certificate(certificate), _("It renews by its agent; see to that.")))
    return Related(_("Agent and checks"), heads, [*rows, *(_check(one) for one in findings(agent.told))])


def _row(title: str, mark: Mark, fix: str) -> Row:
    return Row([Cell(title, under=fix if mark.tone in ("warn", "bad") else ""), Cell(mark=mark)])


def _check(found: Finding) -> Row:
    if found.well:
        mark = Mark(found.seen or _("well"), "good")
    else:
        mark = Mark(found.seen or _("missing"), "bad" if found.check.needed else "warn")
    return _row(_(found.check.title), mark, _(found.check.fix))


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
