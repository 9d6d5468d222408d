"""What becomes of a host's machines when it is emptied: where each would go now, or why it cannot."""

from collections.abc import Iterable
from dataclasses import replace

from django.db.models import Q, QuerySet

from broker.core.errors import BerthError, NoCapacity, Reason
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import queries
from .disk_rules import require_no_snapshots
from .migrating import order
from .models import Host, VirtualMachine
from .placement.choose import choose
from .placement.gather import UP, picture_of
from .placement.recover import Restart

COMING = ("vm.create", "vm.start")


def machines_on(host: Host) -> QuerySet[VirtualMachine]:
    """The machines that keep a host from being empty: those that run there, and those being started there."""
    coming = Job.objects.filter(subject_kind="vm", state__in=ACTIVE, plan__in=COMING).values("subject_id")
    return VirtualMachine.objects.filter(Q(power_state__in=UP) | Q(pk__in=coming), host=host)


def outlook(host: Host) -> list[Restart]:
    """For each machine that runs on `host` the host it would be moved to, each counted for those after it.

    The same queries however many machines there are; nothing is changed.
    """
    picture = picture_of(host.cluster)
    whole = {vm.pk: vm for vm in queries.whole_machines().filter(host=host, power_state__in=UP)}
    found = []
    for facts in sorted(picture.on(host.pk), key=lambda one: (-one.priority, one.name)):
        vm = whole.get(facts.id)
        if vm is None:
            continue  # it stopped between the two looks
        wish = replace(
            picture.request(facts.id), leaving=host.pk, storages=frozenset(order.needed(vm)), host=None
        )  # fmt: skip
        try:
            if order.copied(vm):
                require_no_snapshots(vm)
            target = choose(wish, picture.hosts.values()).host
        except NoCapacity as refusal:
            found.append(Restart(facts, None, refusal.reasons))
            continue
        except BerthError as error:
            found.append(Restart(facts, None, (reason(vm, error),)))
            continue
        picture.put(facts.id, target.id)
        found.append(Restart(facts, target))
    return found


def reason(vm: VirtualMachine, error: BerthError) -> Reason:
    """A refusal to move a machine as one line about it."""
    return Reason(vm.name, error.rule, error.template, kind="vm", id=vm.pk, **error.params)


def told(reasons: Iterable[Reason], most: int = 5) -> str:
    """Some of the reasons as one line."""
    return "; ".join(f"{one.subject}: {one.message}" for one in list(reasons)[:most])
