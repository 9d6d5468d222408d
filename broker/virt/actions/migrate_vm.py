"""Move a running machine to another host, without stopping it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import queries
from broker.virt.asking import power_job, require_power, require_usable
from broker.virt.disk_rules import require_no_snapshots
from broker.virt.driver import PowerState
from broker.virt.migrating import order
from broker.virt.migrating.policies import POLICIES
from broker.virt.models import Host, VirtualMachine
from broker.virt.placement.choose import no_host
from broker.virt.placement.gather import verdicts_on
from broker.virt.waking import would_help

WHEN = (PowerState.RUNNING, PowerState.PAUSED)


@transaction.atomic
def migrate_vm(*, actor: Actor, vm: VirtualMachine, host: Host | None = None, policy: str = "") -> Job:
    """Ask for it; returns the job. Without `host` placement chooses; without `policy` the cluster's counts.

    Raises Missing, Denied, Invalid, Conflict (its power state), NoCapacity (no host, or not this one) or Busy.
    """
    require(actor, "vm.migrate", vm)
    if policy and policy not in POLICIES:
        raise Invalid(
            N_("There is no such migration policy."), field="policy", fix=N_("Use one of: %(known)s."),
            known=", ".join(POLICIES),
        )  # fmt: skip
    if host is not None and host.cluster_id != vm.cluster_id:
        raise Invalid(
            N_("%(host)s is in another cluster."), field="host", fix=N_("Choose a host of the cluster."), host=host.name
        )
    require_usable(vm)
    require_power(vm, WHEN)
    _refuse_without_host(vm, host)
    return power_job(
        actor=actor, vm=vm, plan="vm.migrate", when=WHEN, message=N_("Migration of %(name)s was asked for"),
        args={"host": str(host.pk) if host else "", "policy": policy},
    )  # fmt: skip


def _refuse_without_host(vm: VirtualMachine, host: Host | None) -> None:
    """Say now what the job would find, which may be a host that it has woken; it looks again when it chooses."""
    whole = queries.whole_machines().get(pk=vm.pk)
    if order.copied(whole):
        require_no_snapshots(vm)  # a copy is one image without the layers that snapshots lie in
    verdicts = verdicts_on(whole, leaving=whole.host_id, storages=order.needed(whole))
    asked = [verdict for verdict in verdicts if host is None or verdict.host.id == host.pk]
    if asked and not all(verdict.refusals for verdict in asked):
        return
    if not would_help(whole, bound_to=host.pk if host else None, storages=order.needed(whole)):
        raise no_host(asked)
