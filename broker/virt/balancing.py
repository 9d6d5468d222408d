"""The duty that balances clusters which are set to do so by themselves: what the rehearsal shows, through migrations.

A few at a time: the next ones begin when these have ended and the load they changed has been measured anew. A machine
that was moved, or could not be, is left alone for a while. Other moves in the cluster, and hosts being emptied, come
first.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .actions.migrate_vm import migrate_vm
from .models import Cluster, Host, VirtualMachine
from .placement.balance import Move, balance
from .placement.gather import picture_of
from .placement.picture import Picture
from .placement.policy import Policy
from .states import HostState

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.balancing")
AUTOMATIC = "automatic"
AT_ONCE = 2
LEFT_ALONE = timedelta(minutes=10)


def run() -> int:
    """Begin what is due in every cluster; returns how many migrations were begun."""
    return sum(_balance(cluster) for cluster in Cluster.objects.order_by("pk") if is_automatic(cluster))


def is_automatic(cluster: Cluster) -> bool:
    return Policy.of(cluster.rules).balancing == AUTOMATIC


def due(cluster: Cluster) -> tuple[Move, ...]:
    """What would be begun now."""
    if not _calm(cluster):
        return ()
    return balance(rested(picture_of(cluster), _moved_lately(cluster)), most=AT_ONCE)


def rested(picture: Picture, tired: frozenset[UUID]) -> Picture:
    """The picture with these machines staying where they are. Pure."""
    machines = (replace(one, movable=one.movable and one.id not in tired) for one in picture.machines.values())
    return Picture(picture.policy, picture.hosts.values(), machines, picture.groups)


def _balance(cluster: Cluster) -> int:
    begun = 0
    for move in due(cluster):
        try:
            with transaction.atomic():
                vm = VirtualMachine.objects.get(pk=move.machine.id)
                about: dict[str, Any] = {
                    "name": vm.name,
                    "source": move.source.name,
                    "target": move.target.name,
                    **dict(move.params),
                }
                record("vm.balanced", actor=DUTY, subject=vm, message=move.why, **about)
                migrate_vm(actor=DUTY, vm=vm, host=Host.objects.get(pk=move.target.id))
            begun += 1
        except (BerthError, VirtualMachine.DoesNotExist) as error:
            log.info("%s is not moved to %s: %s", move.machine.name, move.target.name, error)
    return begun


def _calm(cluster: Cluster) -> bool:
    """Whether nothing moves in the cluster, and its load was measured since the last move of ours."""
    if Host.objects.filter(cluster=cluster, state=HostState.PREPARING).exists():
        return False
    here = VirtualMachine.objects.filter(cluster=cluster)
    if here.filter(moving_to__isnull=False).exists():
        return False
    jobs = Job.objects.filter(subject_kind="vm", plan="vm.migrate", subject_id__in=here.values("pk"))
    measured = clock.now() - timedelta(minutes=Policy.of(cluster.rules).cpu_over_commit_duration_minutes)
    return not (
        jobs.filter(state__in=ACTIVE).exists() or jobs.filter(actor_name=DUTY.name, finished_at__gt=measured).exists()
    )


def _moved_lately(cluster: Cluster) -> frozenset[UUID]:
    jobs = Job.objects.filter(plan="vm.migrate", actor_name=DUTY.name, created_at__gt=clock.now() - LEFT_ALONE)
    return frozenset(jobs.values_list("subject_id", flat=True))
