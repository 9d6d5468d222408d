"""Collect what is known of every host: when each source last gave a new sign of life, since when libvirt is silent.

A sign counts from when it was new to this duty, by the database's clock: no host's and no manager's clock matters.
After a gap (all managers were down, or a clock jumped) the time nobody looked is not counted as silence.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q

from broker.settings import env
from broker.sql import Statement
from broker.virt.driver import PowerState
from broker.virt.models import HaWatch, Host, HostHealth, HostSign
from broker.virt.states import HOST, HostState

from .judge import LIBVIRT, Case, Evidence, Ruling, Surroundings, judge
from .rules import HaRules

GAP = timedelta(seconds=60)
_TIMES = ("silent_since", "asked_at", "tried_at", "off_at", "confirmed_at")
WRITTEN = ("seen", "silent_since", "asked_at", "tried_at", "off_at", "confirmed_at")


@dataclass
class Situation:
    """A host with what is known of it; `changed`: its health row is to be written."""

    host: Host
    health: HostHealth
    case: Case
    around: Surroundings
    rules: HaRules
    ruling: Ruling
    changed: bool = False


@dataclass
class Look:
    """One look at all hosts, at `now`; `watch` as it is to be written, `before` as it was read."""

    now: datetime
    before: datetime
    watch: HaWatch
    situations: list[Situation]


def look(now: datetime) -> Look:
    """Read everything; writes nothing but rows that are missing. Four queries, and two more when hosts are silent."""
    watch, _ = HaWatch.objects.get_or_create(pk=1, defaults={"since": now, "looked_at": now})
    before, gap = watch.looked_at, now - watch.looked_at
    blind = gap > GAP or gap < timedelta(0)
    if blind:
        watch.since = now
    hosts: list[Host] = _HOSTS.objects()
    healths = _healths(hosts)
    signs: dict[UUID, list[HostSign]] = defaultdict(list)
    for sign in _SIGNS.objects():
        signs[sign.host_id].append(sign)
    found: list[tuple[Host, HostHealth, bool]] = []
    for host in hosts:
        health = healths[host.pk]
        changed = _shift(health, gap) if blind else False
        changed |= _note(host, health, signs[host.pk], now)
        found.append((host, health, changed))
    watch.looked_at = now
    return Look(now, before, watch, _judged(found, signs, watch, now))


_HOSTS = Statement(
    lambda: (
        Host.objects.filter(observed_at__isnull=False)
        .exclude(state=HostState.ASLEEP)  # off by our own wish, so neither dead nor one of those that should answer
        .select_related("cluster")
    )
)
_SIGNS = Statement(lambda: HostSign.objects.filter(host__observed_at__isnull=False))
_HEALTHS = Statement(lambda: HostHealth.objects.filter(host__observed_at__isnull=False))


def _healths(hosts: list[Host]) -> dict[UUID, HostHealth]:
    known: dict[UUID, HostHealth] = {row.host_id: row for row in _HEALTHS.objects()}
    missing = [HostHealth(host=host) for host in hosts if host.pk not in known]
    if missing:
        HostHealth.objects.bulk_create(missing, ignore_conflicts=True)
        known |= {row.host_id: row for row in missing}
    return known


def _shift(health: HostHealth, gap: timedelta) -> bool:
    """Take the time nobody looked out of every interval."""
    for name in _TIMES:
        if (value := getattr(health, name)) is not None:
            setattr(health, name, value + gap)
    health.seen = {
        source: [value, (datetime.fromisoformat(at) + gap).isoformat()] for source, (value, at) in health.seen.items()
    }
    return True


def _note(host: Host, health: HostHealth, signs: list[HostSign], now: datetime) -> bool:
    """Take in the sources' newest signs; returns whether anything is to be written."""
    assert host.observed_at is not None
    newest = {LIBVIRT: host.observed_at.isoformat(), **{str(sign): sign.at.isoformat() for sign in signs}}
    fresh = {source for source, value in newest.items() if health.seen.get(source, [""])[0] != value}
    before = health.silent_since
    # A new value of a host that is said not to answer is what a monitor wrote before it noticed.
    health.seen = {**health.seen, **{source: [newest[source], now.isoformat()] for source in fresh}}
    last = _moved(health, LIBVIRT)
    assert last is not None
    if host.error or now - last > timedelta(seconds=3 * env.observe_every):
        health.silent_since = before or last
    else:
        health.silent_since = None
    return bool(fresh) or health.silent_since != before


def _moved(health: HostHealth, source: str) -> datetime | None:
    pair = health.seen.get(source)
    return datetime.fromisoformat(pair[1]) if pair else None


def _still(health: HostHealth, sign: HostSign) -> float | None:
    """For how long a lease was seen unmoved: from when it moved to the last look at it."""
    moved = _moved(health, str(sign))
    if sign.looked_at is None or moved is None:
        return None
    return max((sign.looked_at - moved).total_seconds(), 0.0)


def _judged(
    found: list[tuple[Host, HostHealth, bool]], signs: dict[UUID, list[HostSign]], watch: HaWatch, now: datetime
) -> list[Situation]:
    silent: dict[UUID, int] = defaultdict(int)
    total: dict[UUID, int] = defaultdict(int)
    fenced: dict[UUID, datetime] = {}
    for host, health, _ in found:
        total[host.cluster_id] += 1
        if health.silent_since is not None and health.lost_at is None and HOST.is_(host.state, "guarded"):
            silent[host.cluster_id] += 1
        latest = max((at for at in (health.off_at, health.tried_at) if at), default=None)
        if latest and (host.cluster_id not in fenced or latest > fenced[host.cluster_id]):
            fenced[host.cluster_id] = latest
    weights = _weigh([host for host, health, _ in found if health.silent_since is not None])
    situations = []
    rules_of = {
        host.cluster_id: HaRules.of(host.cluster.ha) for host in {h.cluster_id: h for h, _, _ in found}.values()
    }
    for host, health, changed in found:
        case = case_of(host, health, signs[host.pk], now, weights.get(host.pk, (0, 0)))
        at = fenced.get(host.cluster_id)
        around = Surroundings(
            watching_for=(now - watch.since).total_seconds(),
            hosts=total[host.cluster_id],
            silent_hosts=silent[host.cluster_id],
            fenced_ago=(now - at).total_seconds() if at else None,
        )
        rules = rules_of[host.cluster_id]
        situations.append(Situation(host, health, case, around, rules, judge(case, around, rules), changed))
    return situations


def _weigh(hosts: list[Host]) -> dict[UUID, tuple[int, int]]:
    """How many machines run there, and how many fence devices each has: asked of hosts in doubt alone."""
    if not hosts:
        return {}
    up = Q(vms__power_state__in=(PowerState.RUNNING, PowerState.PAUSED))
    rows = Host.objects.filter(pk__in=[host.pk for host in hosts]).order_by()
    running = dict(rows.annotate(count=Count("vms", filter=up)).values_list("pk", "count"))
    devices = dict(rows.annotate(count=Count("fence_devices")).values_list("pk", "count"))
    return {pk: (count, devices.get(pk, 0)) for pk, count in running.items()}


def case_of(
    host: Host, health: HostHealth, signs: list[HostSign], now: datetime, weight: tuple[int, int] = (0, 0)
) -> Case:
    """The host as the judge sees it. What was done about it counts only until libvirt's next sign.

    `weight`: its running machines and fence devices, where it is in doubt.
    """
    last = _moved(health, LIBVIRT)

    def since(moment: datetime | None) -> float | None:
        return (now - moment).total_seconds() if moment and last and moment >= last else None

    def ago(source: str) -> float | None:
        moved = _moved(health, source)
        return (now - moved).total_seconds() if moved else None

    evidence = [Evidence(LIBVIRT, ago(LIBVIRT), host.error)]
    evidence += [
        Evidence(sign.source, ago(str(sign)), by=sign.by, still=_still(health, sign), promise=sign.promise)
        for sign in signs
    ]
    return Case(
        host=host.name,
        schedulable=HOST.is_(host.state, "guarded"),
        evidence=tuple(evidence),
        silent=(now - health.silent_since).total_seconds() if health.silent_since else 0.0,
        machines=weight[0],
        lost=health.lost_at is not None and not (health.only_leased and health.silent_since is not None),
        confirmed=since(health.confirmed_at) is not None,
        off=since(health.off_at) is not None,
        asked=since(health.asked_at) is not None,
        tried_ago=since(health.tried_at),
        devices=weight[1],
    )
