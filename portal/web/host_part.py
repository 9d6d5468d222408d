"""What a host's page says of its agent, its certificate and what was checked on it."""

from datetime import timedelta

from django.utils.translation import gettext as _

from broker.core import clock
from broker.virt.ha.judge import PEER
from broker.virt.host_checks import Finding, findings
from broker.virt.models import Host, HostAgent, HostCertificate, StorageAttachment
from broker.virt.states import StorageState
from portal.web.parts import Cell, Related, Row
from portal.web.words import Mark

LATE_SECONDS = 30
SOON_DAYS = 30


def agent_part(host: Host) -> Related:
    """A table of what was looked at, what was found, and what helps."""
    agent, heads = HostAgent.objects.filter(host=host).first(), [_("What, and what helps"), _("Found")]
    seen = [_kvm(host), _storages(host)] if host.observed_at is not None else []
    if agent is None:
        none = _("Its machines are restarted elsewhere only when its power is cut or you confirm that it was rebooted. "
                 "“Enrol anew” gives it one.")  # fmt: skip
        return Related(_("Agent and checks"), heads, [*seen, _row(_("Agent"), Mark(_("none"), "warn"), none)])
    rows = [
        *seen,
        _row(_("Agent"), _agent(agent), _("Look at berth-agent.service on the host.")),
        *_neighbours(host),
        _row(_("Leases on storage"), _leases(agent), _("Look at the storage, and at the agent's log on the host.")),
    ]
    certificate = HostCertificate.objects.filter(host=host).first()
    if certificate is not None:
        rows.append(_row(_("Certificate ends"), _certificate(certificate), _("It renews by its agent; see to that.")))
    return Related(_("Agent and checks"), heads, [*rows, *(_check(one) for one in findings(agent.told))])


def _row(title: str, mark: Mark, fix: str) -> Row:
    return Row([Cell(title, under=fix if mark.tone in ("warn", "bad") else ""), Cell(mark=mark)])


def _kvm(host: Host) -> Row:
    """Tried with a guest, not believed for a device file."""
    fix = _("Switch on virtualization in the firmware, or nested virtualization if this is a virtual machine itself.")
    mark = Mark(_("emulated, slow"), "warn") if host.emulated else Mark(_("well"), "good")
    return _row(_("KVM runs guests"), mark, f"{host.emulated_reason} {fix}".strip())


def _storages(host: Host) -> Row:
    used = StorageAttachment.objects.filter(host=host, storage__state=StorageState.ACTIVE)
    blind = list(used.exclude(error="").select_related("storage"))
    if not blind:
        return _row(
            _("Storages that several hosts share"), Mark(_("%(count)s seen") % {"count": used.count()}, "good"), ""
        )
    mark = Mark(_("%(seen)s of %(all)s seen") % {"seen": used.count() - len(blind), "all": used.count()}, "bad")
    return _row(
        _("Storages that several hosts share"), mark, "; ".join(f"{one.storage.name}: {one.error}" for one in blind)
    )


def _neighbours(host: Host) -> list[Row]:
    """Whether its agent reaches those of the cluster's other hosts, over which machines move."""
    others = Host.objects.filter(cluster=host.cluster_id, agent__isnull=False).exclude(pk=host.pk)
    since = clock.now() - timedelta(seconds=2 * LATE_SECONDS)
    reached = others.filter(signs__source=PEER, signs__by=host.name, signs__at__gt=since).distinct().count()
    if not (every := others.count()):
        return []
    mark = Mark(
        _("%(seen)s of %(all)s reached") % {"seen": reached, "all": every}, "good" if reached == every else "warn"
    )
    fix = _("Open ports 16514, 16515 and 49152 to 49215 between the hosts, and see that each knows the others' names.")
    return [_row(_("Other hosts"), mark, fix)]


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
