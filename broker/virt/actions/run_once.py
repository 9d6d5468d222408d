"""Start a machine differently for once: from another device, on a host of one's choice, or as cloud-init's first start.

Its definition stays.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import cloud_init as words
from broker.virt import machine_options, pending, quotas
from broker.virt.asking import power_job, require_power, require_usable
from broker.virt.models import Host, Image, StorageDomain, VirtualMachine
from broker.virt.origins import require_fitting
from broker.virt.placement.choose import no_host
from broker.virt.placement.gather import verdicts_on
from broker.virt.queries import whole_machines
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def run_once(
    *,
    actor: Actor,
    vm: VirtualMachine,
    boot: str = "",
    host: Host | None = None,
    cd: Image | None = None,
    cloud_init: Mapping[str, Any] | None = None,
    cloud_init_again: bool = False,
) -> Job:
    """Ask for it; returns the job. `boot`: what this run boots from, as the option `boot`; empty: as ever.

    `host`: where it starts; it stays there until placement or somebody moves it. Who chooses a host may move the
    machine. `cd`: what lies in its drive in this run, which boots from it where `boot` says nothing else.
    `cloud_init_again`: its guest takes this start for its first one, and does again what it is told then;
    with `cloud_init`, by its words, which are the machine's from then on. Who says so may change the machine.
    Raises Missing, Denied, Invalid, Conflict (its power state), NoCapacity (not there), OverQuota or Busy.
    """
    require(actor, "vm.power", vm)
    if cloud_init or cloud_init_again:
        require(actor, "vm.edit", vm)
    if host is not None:
        require(actor, "vm.migrate", vm)
    choices = dict(machine_options.KNOWN["boot"].choices)
    if boot and boot not in choices:
        raise Invalid(
            N_("There is no such choice."), field="boot", fix=N_("Use one of: %(known)s."), known=", ".join(choices)
        )
    if cd is not None:
        require(actor, "image.view", cd)
        cd = require_fitting(vm, cd, host=host)
        boot = boot or "cdrom-disk"
    if host is not None and host.cluster_id != vm.cluster_id:
        raise Invalid(
            N_("%(host)s is in another cluster."), field="host", fix=N_("Choose a host of the cluster."), host=host.name
        )
    seed = _seed(vm, cloud_init) if cloud_init or cloud_init_again else {}
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
        args={"boot": boot, "host": str(host.pk) if host else "", "cd": str(cd.pk) if cd else "", **seed},
    )  # fmt: skip


def _seed(vm: VirtualMachine, given: Mapping[str, Any] | None) -> dict[str, str]:
    """What the job has to know: the sealed words of another first start, and on which storage they are to lie."""
    if not given and not vm.cloud_init:
        raise Invalid(
            N_("%(name)s was never told anything for cloud-init."), field="cloud_init_again",
            fix=N_("Say what its guest is to be told."), name=vm.name,
        )  # fmt: skip
    storage: StorageDomain | None = vm.seed_on
    if storage is None:
        first = vm.disks.select_related("storage").first()
        if first is None:
            raise Invalid(
                N_("%(name)s has no disk of Berth's beside which its words could lie."), field="cloud_init",
                fix=N_("Give it a disk first."), name=vm.name,
            )  # fmt: skip
        storage = first.storage
    require_usable_storage(storage)
    told = words.checked(given, name=vm.name) if given else None
    return {"words": words.sealed(words.again(vm, told)), "words_on": str(storage.pk)}
