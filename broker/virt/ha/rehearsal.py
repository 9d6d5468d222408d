"""What would be done now, without doing it: the ruling on each host, and where waiting machines would go."""

from dataclasses import dataclass

from django.db import transaction

from broker.virt.models import Cluster, Recovery
from broker.virt.states import RECOVERY

from . import evidence, moments
from .recovery import plan
from .rules import HaRules


@dataclass
class Rehearsal:
    """`queue`: each open recovery with the name of the host it would be restarted on ("" for none) and why not."""

    mode: str
    situations: list[evidence.Situation]
    queue: list[tuple[Recovery, str, str]]


def rehearse(cluster: Cluster) -> Rehearsal:
    """Reads what the duty reads, and asks the same judge and the same planner."""
    with transaction.atomic():
        seen = evidence.look(moments.now())
        transaction.set_rollback(True)  # rows that were missing are made by the duty, not by who only looks
    situations = [one for one in seen.situations if one.host.cluster_id == cluster.pk]
    opened = Recovery.objects.filter(vm__cluster=cluster, state__in=RECOVERY.sets["open"])
    rows = {row.vm_id: row for row in opened.select_related("vm__cluster", "host", "vm__template_version")}
    queue = []
    for one in plan(cluster, list(rows.values())) if rows else []:
        why = "; ".join(f"{reason.subject}: {reason.message}" for reason in one.reasons[:5])
        queue.append((rows[one.machine.id], one.host.name if one.host else "", why))
    return Rehearsal(HaRules.of(cluster.ha).when_dead, situations, queue)
