"""Restart machines whose host is lost: by priority, as far as there is room, so many at once, again and again.

Level-triggered: each run looks at the rows. A machine is given a host and a vm.start job in one transaction, so whoever
dies between leaves either both or none.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from broker.access.actor import Actor
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Recovery, VirtualMachine
from broker.virt.placement.gather import machine_facts, picture_of
from broker.virt.placement.picture import MachineFacts
from broker.virt.placement.recover import Restart, place_all
from broker.virt.states import RECOVERY, RecoveryState, VmState

from .rules import HaRules

log = logging.getLogger(__name__)
HA = Actor.system("virt.ha")
UP = (PowerState.RUNNING, PowerState.PAUSED)
LOOK_AGAIN = timedelta(seconds=10)  # for one that found no room
CRASHES, CRASHES_WITHIN = 5, timedelta(hours=1)


class _Taken(Exception):
    """Somebody else started the machine meanwhile: what was written is rolled back."""


def run(now: datetime) -> None:
    """One round."""
    note_crashed(now)
    opened = list(Recovery.objects.filter(state__in=RECOVERY.sets["open"]).select_related("vm__cluster", "vm"))
    for row in opened:
        look_after(row, now)
    due: dict[UUID, list[Recovery]] = {}
    for row in opened:
        if row.state == RecoveryState.WAITING and row.next_at <= now:
            due.setdefault(row.vm.cluster_id, []).append(row)
    for cluster_id, rows in due.items():
        start_some(Cluster.objects.get(pk=cluster_id), rows, now)


def note_crashed(now: datetime) -> None:
    """A highly available machine that crashed on a host that lives is restarted there; a loop of crashes is ended."""
    crashed = VirtualMachine.objects.filter(
        available=True, state=VmState.READY, power_state=PowerState.CRASHED, host__isnull=False
    ).exclude(recoveries__state__in=RECOVERY.sets["open"])
    busy = Job.objects.filter(subject_kind="vm", state__in=ACTIVE).values("subject_id")
    for vm in crashed.exclude(pk__in=busy)[:100]:
        assert vm.host is not None
        past = Recovery.objects.filter(vm=vm, created_at__gt=now - CRASHES_WITHIN)
        if past.count() >= CRASHES:
            if past.filter(state=RecoveryState.DONE).exists():
                _end(past.filter(state=RecoveryState.DONE).latest("created_at"), vm)
            continue
        Recovery.objects.create(vm=vm, host=vm.host, epoch=0, next_at=now, created_at=now)


def _end(last: Recovery, vm: VirtualMachine) -> None:
    """Say once that a machine crashes over and over."""
    if Recovery.objects.filter(pk=last.pk).exclude(reason="looping").update(reason="looping"):
        record(
            "vm.crash-loop", actor=HA, subject=vm, severity="error", name=vm.name,
            message=N_("%(name)s crashed too often and is not restarted any more; look at its screen and disk"),
        )  # fmt: skip


def look_after(row: Recovery, now: datetime) -> None:
    """Move on what needs no host: it runs again, it is no longer wanted, or its job has ended."""
    vm, mine = row.vm, Recovery.objects.filter(pk=row.pk)
    if vm.state in (VmState.DELETING, VmState.BROKEN) or (not vm.available and row.state == RecoveryState.WAITING):
        RECOVERY.attempt(mine, "drop")
    elif vm.power_state in UP and row.state == RecoveryState.WAITING:
        RECOVERY.attempt(mine, "finish")  # somebody started it by hand
    elif row.state == RecoveryState.STARTING:
        job = Job.objects.filter(pk=row.job).first() if row.job else None
        if job is None or job.state in ACTIVE:
            return
        if job.state == JobState.SUCCEEDED:
            RECOVERY.attempt(mine, "finish")
        else:
            _again(row, job, now)
    row.refresh_from_db(fields=["state", "next_at"])


def _again(row: Recovery, job: Job, now: datetime) -> None:
    rules = HaRules.of(row.vm.cluster.ha)
    tries = row.tries + 1
    seconds = rules.restart_every_seconds if tries < rules.restart_tries else rules.restart_later_seconds
    RECOVERY.attempt(
        Recovery.objects.filter(pk=row.pk), "wait", tries=tries, next_at=now + timedelta(seconds=seconds),
        reason=job.cause[:500],
    )  # fmt: skip
    if (job.error or {}).get("code") == "locked":
        record(
            "host.fence-unverified", actor=HA, subject=row.vm, severity="error", name=row.vm.name, host=row.host.name,
            message=N_("The disk of %(name)s is in use: it may still run on %(host)s, whatever power management says"),
        )  # fmt: skip


def start_some(cluster: Cluster, due: list[Recovery], now: datetime) -> None:
    """Restart as many as may be at once and find room."""
    rules = HaRules.of(cluster.ha)
    going = Recovery.objects.filter(vm__cluster=cluster, state=RecoveryState.STARTING).count()
    room = rules.parallel_restarts - going
    if rules.when_dead != "act" or room < 1:
        return
    rows = {row.vm_id: row for row in due}
    for decided in plan(cluster, list(rows.values())):
        row = rows[decided.machine.id]
        if decided.host is None:
            _wait_for_room(row, decided, now)
        elif room > 0 and _start(row, decided.host.id, now):
            room -= 1


def plan(cluster: Cluster, rows: list[Recovery]) -> list[Restart]:
    """Where each of the machines would be restarted, in order of priority; changes nothing."""
    picture = picture_of(cluster)
    machines = [facts_of(row) for row in rows]
    for one in machines:
        picture.machines[one.id] = one
    machines.sort(key=lambda one: (-one.priority, -one.request.memory_mib, one.name, one.id))
    return place_all(picture, machines)


def facts_of(row: Recovery) -> MachineFacts:
    """A machine to restart as planners see it.

    One that crashed on a host that lives (no epoch) is restarted there: its definition is there.
    """
    facts = machine_facts(row.vm)
    return facts if row.epoch else replace(facts, request=replace(facts.request, host=row.host_id))


def _wait_for_room(row: Recovery, decided: Restart, now: datetime) -> None:
    reason = "; ".join(f"{one.subject}: {one.message}" for one in decided.reasons[:5])[:500]
    Recovery.objects.filter(pk=row.pk, state=RecoveryState.WAITING).update(reason=reason, next_at=now + LOOK_AGAIN)


def _start(row: Recovery, target: UUID, now: datetime) -> bool:
    """Give the machine its new host and a job; False when somebody else was faster or works on it."""
    try:
        with transaction.atomic():
            if not RECOVERY.attempt(Recovery.objects.filter(pk=row.pk), "start", target_id=target, reason=""):
                return False
            still_off = Q(pk=row.vm_id) & ~Q(power_state__in=UP)
            if not VirtualMachine.objects.filter(still_off).update(host_id=target):
                raise _Taken
            vm = VirtualMachine.objects.get(pk=row.vm_id)
            job = enqueue("vm.start", actor=HA, subject=vm, args={"recovery": True})
            Recovery.objects.filter(pk=row.pk).update(job=job.pk)
            record(
                "vm.ha-restart", actor=HA, subject=vm, name=vm.name, host=str(vm.host),
                message=N_("%(name)s is being restarted on %(host)s"),
            )  # fmt: skip
            publish("vm", vm.pk, "changed")
    except (Busy, _Taken):
        Recovery.objects.filter(pk=row.pk).update(next_at=now + timedelta(seconds=5))
        return False
    return True
