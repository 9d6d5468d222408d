"""The duty that switches hosts off to save power and wakes them: what placement/power.py decides, through jobs.

A sleeping host that answers all the same, because somebody pressed its button, is in service again.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .ha.recovery import facts_of
from .models import Cluster, Host, Recovery
from .placement.gather import picture_of
from .placement.picture import MachineFacts, Picture
from .placement.policy import Policy
from .placement.power import SLEEP, Act, decide
from .power_facts import SLEEP_PLAN, WAKE_PLAN, powers_of
from .states import HOST, HostState, RecoveryState

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.power")
LATE = timedelta(seconds=60)  # what was seen so soon after its power was cut may have been on its way


def run() -> int:
    """Every few seconds: begin what is due in every cluster; returns how many jobs were begun."""
    greet()
    return sum(_look_after(cluster) for cluster in Cluster.objects.order_by("pk") if _concerned(cluster))


def _concerned(cluster: Cluster) -> bool:
    rows = Host.objects.filter(cluster=cluster)
    able = Policy.of(cluster.rules).switches_hosts and rows.filter(may_sleep=True).exists()
    return able or rows.filter(state=HostState.ASLEEP).exists()


def _look_after(cluster: Cluster) -> int:
    picture = picture_of(cluster)
    note_empty(picture)
    waiting = _waiting(picture, cluster)
    return sum(_begin(act) for act in decide(picture, powers_of(cluster), waiting))


def note_empty(picture: Picture) -> None:
    """Write since when nothing has run on a host, for those that may be switched off."""
    rows = Host.objects.filter(pk__in=picture.hosts, may_sleep=True).exclude(state=HostState.ASLEEP)
    empty = [one.id for one in picture.hosts.values() if not one.machines and not one.error]
    rows.filter(empty_since__isnull=False).exclude(pk__in=empty).update(empty_since=None)
    rows.filter(empty_since__isnull=True, pk__in=empty).update(empty_since=clock.now())


def _waiting(picture: Picture, cluster: Cluster) -> list[MachineFacts]:
    """Highly available machines that lost their host and wait for room, the most important first."""
    rows = Recovery.objects.filter(vm__cluster=cluster, state=RecoveryState.WAITING, epoch__gt=0)
    found = [facts_of(row) for row in rows.exclude(reason="").select_related("vm__template_version", "vm__cd")]
    for one in found:
        picture.machines[one.id] = one
    return sorted(found, key=lambda one: (-one.priority, -one.request.memory_mib, one.name, one.id))


def _begin(act: Act) -> bool:
    plan, host = SLEEP_PLAN if act.kind == SLEEP else WAKE_PLAN, Host.objects.get(pk=act.host.id)
    return begin(plan, host, act.why, **dict(act.params))


def begin(plan: str, host: Host, why: str, **params: str) -> bool:
    """Ask for the job and say why; False when another is at work on the host."""
    try:
        with transaction.atomic():
            enqueue(plan, actor=DUTY, subject=host)
            sentence = (
                N_("%(name)s is switched off to save power: %(why)s") if plan == SLEEP_PLAN
                else N_("%(name)s is woken: %(why)s")
            )  # fmt: skip
            record(f"{plan}-asked", actor=DUTY, subject=host, message=sentence, name=host.name, why=why % params)
    except Busy:
        return False
    return True


def greet() -> int:
    """Sleeping hosts that answer are in service again; returns how many."""
    busy = Job.objects.filter(subject_kind="host", state__in=ACTIVE).values("subject_id")
    asleep = Host.objects.filter(state=HostState.ASLEEP).exclude(pk__in=busy)
    asleep.filter(asleep_at__isnull=True).update(asleep_at=clock.now())  # its job broke off
    found = 0
    for host in asleep.filter(Q(error="") & Q(observed_at__gt=F("asleep_at") + LATE)):
        with transaction.atomic():
            if HOST.attempt(Host.objects.filter(pk=host.pk), "wake", asleep_at=None, empty_since=clock.now()):
                record("host.woke-by-itself", actor=DUTY, subject=host, name=host.name,
                       message=N_("%(name)s was switched on by somebody, and is in service again"))  # fmt: skip
                publish("host", host.pk, "changed")
                found += 1
    return found
