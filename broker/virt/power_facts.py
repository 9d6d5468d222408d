"""What keeps hosts switched on, and what else is known of them for whoever switches them off and on: a few queries."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from statistics import median
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from broker.access.kinds import KINDS
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState

from . import hosts
from .driver import PowerState
from .models import Cluster, ForeignMachine, Host, Recovery, StorageDomain, VirtualMachine
from .placement.power import NOT_AGAIN, HostPower
from .states import RECOVERY, HostState, VmState

SLEEP_PLAN, WAKE_PLAN = "host.sleep", "host.wake"
_MEASURED = 10
_UP = (PowerState.RUNNING, PowerState.PAUSED)


def powers_of(cluster: Cluster) -> dict[UUID, HostPower]:
    """What `placement.power.decide` wants to know of each host of the cluster."""
    now, held = clock.now(), holding(cluster.pk)
    rows = list(Host.objects.filter(cluster=cluster).annotate(_devices=Count("fence_devices")))
    jobs = Job.objects.filter(
        subject_kind="host", subject_id__in=[row.pk for row in rows], plan__in=(SLEEP_PLAN, WAKE_PLAN)
    )
    going = dict(jobs.filter(state__in=ACTIVE).values_list("subject_id", "plan"))
    failed = {
        pk: (now - at).total_seconds()
        for pk, at in jobs.filter(
            plan=WAKE_PLAN, state__in=(JobState.FAILED, JobState.ERRORED),
            finished_at__gt=now - timedelta(seconds=NOT_AGAIN),
        ).order_by("finished_at").values_list("subject_id", "finished_at")
        if at is not None
    }  # fmt: skip
    return {
        row.pk: HostPower(
            able=row.may_sleep and row._devices > 0,
            held=held.get(row.pk, ""),
            asleep=row.state == HostState.ASLEEP,
            falling=going.get(row.pk) == SLEEP_PLAN,
            waking=going.get(row.pk) == WAKE_PLAN,
            empty_for=(now - row.empty_since).total_seconds() if row.empty_since else None,
            failed_ago=failed.get(row.pk),
        )
        for row in rows
    }


def holding(cluster_id: UUID, *, besides: UUID | None = None) -> Mapping[UUID, str]:
    """Why hosts of the cluster have to stay on: by host the sentence that counts first. The job `besides` does not."""
    work = Job.objects.filter(state__in=ACTIVE)
    if besides is not None:
        work = work.exclude(pk=besides)
    found: dict[UUID, str] = {}
    if _work_on_storage(cluster_id, work):
        # Which host it has its files written by is its own choice, step by step.
        busy = N_("work on storage is under way that may use it")
        found = dict.fromkeys(Host.objects.filter(cluster=cluster_id).values_list("pk", flat=True), busy)
    for rows, why in _holders(cluster_id, work):
        found |= {pk: why for row in rows for pk in row if pk is not None}
    for host in Host.objects.filter(cluster=cluster_id, driver="libvirt", may_sleep=True):
        if not hosts.elsewhere(host):
            found[host.pk] = N_("Berth itself runs on it")
    return found


def _work_on_storage(cluster_id: UUID, work: "QuerySet[Job]") -> bool:
    """Whether a job is at work on something of the cluster beside machines and hosts."""
    for name in (
        work.exclude(subject_kind__in=("vm", "host")).order_by().values_list("subject_kind", flat=True).distinct()
    ):
        ids = work.filter(subject_kind=name).order_by().values("subject_id")
        if name == "cluster" and ids.filter(subject_id=cluster_id).exists():
            return True
        path = KINDS.get(name).parents.get("cluster") if name in KINDS.names() else None  # a batch has none
        if path and KINDS.get(name).model._base_manager.filter(**{path: cluster_id, "pk__in": ids}).exists():
            return True
    return False


def _holders(cluster_id: UUID, work: "QuerySet[Job]") -> Iterator[tuple[Iterable[tuple[UUID | None, ...]], str]]:
    """Rows of ids of hosts, and what holds these; what counts more comes later."""
    machines = VirtualMachine.objects.filter(cluster=cluster_id).order_by()
    kept = (
        Q(autostart=True) | Q(devices__isnull=False) | ~Q(outside=[]) | ~Q(state=VmState.READY)
        | Q(options__tpm=True) | Q(options__firmware__in=("uefi", "secure"))
    )  # fmt: skip
    there = machines.filter(host__isnull=False).values_list("host").distinct()
    yield (
        StorageDomain.objects.filter(host__cluster=cluster_id).values_list("host").distinct(),
        N_("it has storage of its own"),
    )
    yield (
        there.filter(kept),
        N_(
            "a machine is bound to it: one that starts with its host, has devices or a TPM there, or UEFI, which keeps "
            "its settings there"
        ),
    )
    foreign = ForeignMachine.objects.filter(host__cluster=cluster_id, power_state__in=_UP)
    yield foreign.values_list("host").distinct(), N_("a machine runs on it that is not Berth's")
    if Recovery.objects.filter(vm__cluster=cluster_id, state__in=RECOVERY.sets["open"]).exists():
        # Where they go is decided without the cluster's lock, so no host is taken away meanwhile.
        yield (
            Host.objects.filter(cluster=cluster_id).order_by().values_list("pk"),
            N_("machines are restarted after the loss of a host"),
        )
    yield work.filter(subject_kind="host").values_list("subject_id"), N_("a job is at work on it")
    at_work = work.filter(subject_kind="vm").order_by().values("subject_id")
    on_the_way = machines.filter(Q(pk__in=at_work) | Q(moving_to__isnull=False))
    yield on_the_way.values_list("host", "moving_to"), N_("a job is at work on a machine that is on it, or comes to it")
    yield there.exclude(power_state=PowerState.OFF), N_("machines run on it, or have their memory saved there")


def wake_seconds() -> float | None:
    """How long hosts took to wake, the median of the last ones; None when none has been woken yet."""
    woken = Job.objects.filter(plan=WAKE_PLAN, state=JobState.SUCCEEDED).order_by("-created_at")
    rows = woken.values_list("created_at", "finished_at")[:_MEASURED]
    times = [(end - begin).total_seconds() for begin, end in rows if end is not None]
    return median(times) if times else None
