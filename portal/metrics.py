"""/metrics in Prometheus' text format: how long people wait for desktops, and what there is.

Everything is read from the database at each scrape, so that any web process gives the same numbers; nothing is
counted in a process. The number of queries does not depend on how much there is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from secrets import compare_digest

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from broker.connections.models import Session, TimingTotal
from broker.connections.timing_duty import BOUNDS
from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import Host, VirtualMachine
from pools.models import Desktop, Pool, PoolWaiter
from pools.queue import PATIENCE

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, for who shows the token of the settings or, without one, asks from this very computer."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET"})
    if not allowed(request):
        text = (
            "Send “Authorization: Bearer” with BERTH_METRICS_TOKEN; without that setting only this computer may ask.\n"
        )
        return HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers())  # type: ignore[arg-type]  # has the one method that is called
    return HttpResponse(
        generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )


def allowed(request: HttpRequest) -> bool:
    """A request that a proxy passed on comes from that proxy's computer, whoever sent it."""
    if token := settings.METRICS_TOKEN:
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and compare_digest(shown.strip().encode(), token.encode())
    if any(name in request.META for name in _FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR") or "").is_loopback
    except ValueError:
        return False


class Numbers:
    """A collector for one scrape: eight queries."""

    def collect(self) -> Iterator[Metric]:
        pools = dict(Pool.objects.values_list("pk", "name"))
        yield self._waits({str(pk): name for pk, name in pools.items()})
        yield self._desktops()
        yield self._queue(list(pools.values()))
        yield _gauge(
            "berth_machines", "Machines by power state as last observed.", "power",
            VirtualMachine.objects.order_by().values_list("power_state").annotate(count=Count("pk")),
        )  # fmt: skip
        yield _gauge(
            "berth_sessions_open", "Sessions at screens by the way they were opened.", "purpose",
            Session.objects.live().order_by().values_list("purpose").annotate(count=Count("pk")),
        )  # fmt: skip
        yield _gauge(
            "berth_jobs", "Jobs that have not ended, by state.", "state",
            Job.objects.filter(state__in=sorted(ACTIVE)).order_by().values_list("state").annotate(count=Count("pk")),
            zeros=sorted(ACTIVE),
        )  # fmt: skip
        yield self._hosts()

    @staticmethod
    def _waits(pools: dict[str, str]) -> Metric:
        family = HistogramMetricFamily(
            "berth_time_to_desktop_seconds",
            "How long people waited for a desktop, by pool and phase; phase “total” is what passed on a clock.",
            labels=("pool", "phase"),
        )
        for row in TimingTotal.objects.order_by("pool", "phase"):
            if row.pool and row.pool not in pools:
                continue
            sums, so_far = [], 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), row.buckets, strict=True):
                so_far += count
                sums.append((bound, so_far))
            family.add_metric((pools.get(row.pool, ""), row.phase), sums, row.sum_ms / 1000)
        return family

    @staticmethod
    def _desktops() -> Metric:
        family = GaugeMetricFamily("berth_desktops", "Desktops by pool and state.", labels=("pool", "state"))
        rows = Desktop.objects.order_by("pool__name", "state").values_list("pool__name", "state")
        for pool, state, count in rows.annotate(count=Count("pk")):
            family.add_metric((pool, state), count)
        return family

    @staticmethod
    def _queue(pools: list[str]) -> Metric:
        family = GaugeMetricFamily("berth_queue_length", "People who wait for a desktop, by pool.", labels=("pool",))
        rows = PoolWaiter.objects.filter(desktop__isnull=True, seen_at__gt=clock.now() - PATIENCE).order_by()
        lengths = defaultdict(int, rows.values_list("pool__name").annotate(count=Count("pk")))
        for pool in sorted(pools):
            family.add_metric((pool,), lengths[pool])
        return family

    @staticmethod
    def _hosts() -> Metric:
        found = Host.objects.aggregate(
            up=Count("pk", filter=Q(state="active", error="")),
            down=Count("pk", filter=Q(state="active") & ~Q(error="")),
            maintenance=Count("pk", filter=Q(state="maintenance")),
            asleep=Count("pk", filter=Q(state="asleep")),
        )
        family = GaugeMetricFamily(
            "berth_hosts",
            "Hosts: up, down (in service, silent), maintenance or asleep (to save power).",
            labels=("is",),
        )
        for state, count in found.items():
            family.add_metric((state,), count)
        return family


def _gauge(name: str, text: str, label: str, rows: Iterable[tuple[str, int]], *, zeros: Sequence[str] = ()) -> Metric:
    """A gauge with one label from (value, count) rows; `zeros` are told also when there are none."""
    family = GaugeMetricFamily(name, text, labels=(label,))
    counts = {**dict.fromkeys(zeros, 0), **dict(rows)}
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family
