"""Start a machine differently for once: from another device, or on a host of one's choice. Its definition stays."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import machine_options, pending, quotas
from broker.virt.asking import power_job, require_power, require_usable
from broker.virt.models import Host, VirtualMachine
from broker.virt.placement.choose import no_host
from broker.virt.placement.gather import verdicts_on
from broker.virt.queries import whole_machines


@transaction.atomic
def run_once(*, actor: Actor, vm: VirtualMachine, boot: str = "", host: Host | None = None) -> Job:
    """Ask for it; returns the job. `boot`: what this run boots from, as the option `boot`; empty: as ever.

    `host`: where it starts; it stays there until placement or somebody moves it. Who chooses a host may move the
    machine. Raises Missing, Denied, Invalid, Conflict (its power state), NoCapacity (not there), OverQuota or Busy.
    """
    require(actor, "vm.power", vm)
    if host is not None:
        require(actor, "vm.migrate", vm)
    choices = dict(machine_options.KNOWN["boot"].choices)
    if boot and boot not in choices:
        raise Invalid(
            N_("There is no such choice."), field="boot", fix=N_("Use one of: %(known)s."), known=", ".join(choices)
        )
    if host is not None and host.cluster_id != vm.cluster_id:
        raise Invalid(
            N_("%(host)s is in another cluster."), field="host", fix=N_("Choose a host of the cluster."), host=host.name
        )
    require_usable(vm)
    require_power(vm, pending.OFF)
    pending.fold(vm)
    quotas.claim_start(actor, vm)
    if host is not None and host.pk != vm.host_id:
        verdicts = [one for one in verdicts_on(whole_machines().get(pk=vm.pk)) if one.host.id == host.pk]
        if not verdicts or verdicts[0].refusals:
            raise no_host(verdicts)
    return power_job(
        actor=actor, vm=vm, plan="vm.start", when=pending.OFF,
        message=N_("A start of %(name)s that is different for once was asked for"),
        args={"boot": boot, "host": str(host.pk) if host else ""},
    )  # fmt: skip
