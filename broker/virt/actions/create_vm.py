"""Make a machine from a template version: a linked clone (an overlay on its image) or a full copy."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import machine_options, names, quotas, specs
from broker.virt.driver import PowerState
from broker.virt.macs import new_mac
from broker.virt.models import Disk, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.states import VERSION
from broker.virt.storage_rules import require_usable

LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 16, 4 * 1024 * 1024
MOST_VCPUS = 256


@transaction.atomic
def create_vm(
    *,
    actor: Actor,
    name: str,
    version: TemplateVersion,
    storage: StorageDomain | None = None,
    network: Network | None = None,
    title: str = "",
    description: str = "",
    vcpus: int | None = None,
    memory_mib: int | None = None,
    linked: bool = True,
    options: Mapping[str, Any] | None = None,
    start: bool = False,
) -> Job:
    """Write the machine's row and enqueue the rest; returns the job, whose `subject_id` is the machine's id.

    `storage`: where its disk goes, by default where the template's image is; `network`: what its one card
    plugs into, by default none. `options`: its hardware, by machine_options.py.
    `vcpus` and `memory_mib` default to the version's. Who makes it owns it: gets the
    rights of an owner on it, and pays for it by their quota.
    Raises Missing, Denied, Invalid, Conflict, OverQuota.
    """
    template = version.template
    storage = storage or version.storage
    require(actor, "vm.create", template.cluster)
    require(actor, "template.use", template)
    require(actor, "storage.view", storage)
    if network is not None:
        require(actor, "network.view", network)
    vm = VirtualMachine(
        cluster=template.cluster,
        template_version=version,
        owner=actor.user,
        linked=bool(linked),
        name=names.name(name),
        title=names.title(title),
        description=names.description(description),
        vcpus=names.number(version.vcpus if vcpus is None else vcpus, field="vcpus", least=1, most=MOST_VCPUS),
        memory_mib=names.number(
            version.memory_mib if memory_mib is None else memory_mib,
            field="memory_mib",
            least=LEAST_MEMORY_MIB,
            most=MOST_MEMORY_MIB,
        ),
        machine=version.machine,
        graphics=version.graphics or ["vnc"],
        options=machine_options.changed({}, options or {}),
        power_state=PowerState.UNKNOWN,
    )
    machine_options.ensure_fits(options=vm.options, vcpus=vm.vcpus, memory_mib=vm.memory_mib, machine=vm.machine)
    require_usable(storage)
    _same_cluster(version, storage=storage, network=network)
    # Locked against its deletion, which looks for machines under the same lock.
    version = TemplateVersion.objects.select_for_update().get(pk=version.pk)
    if not VERSION.is_(version.state, "usable"):
        raise Conflict(
            N_("%(version)s is %(state)s."),
            rule="version.usable",
            fix=N_("Wait until it is ready, or choose another version."),
            version=str(version),
            state=version.state,
        )
    quotas.claim_creation(actor, vm, disk_bytes=version.size_bytes, start=start)
    _insert(vm, storage, network, version)
    give_to_maker(actor, "vm-manager", vm)
    record("vm.create.asked", actor=actor, subject=vm, message=N_("Creation of %(name)s was asked for"), name=vm.name)
    publish("vm", vm.pk, "created")
    return enqueue("vm.create", actor=actor, subject=vm, args={"start": bool(start)})


def _same_cluster(version: TemplateVersion, *, storage: StorageDomain, network: Network | None) -> None:
    for field, thing in (("storage", storage), ("network", network)):
        if thing is not None and thing.cluster_id != version.template.cluster_id:
            raise Invalid(
                N_("%(name)s belongs to another cluster."),
                field=field,
                fix=N_("Choose one of the template's cluster."),
                name=thing.name,
            )
    bound = {place.host_id for place in (storage, version.storage) if place.host_id}
    if len(bound) > 1:
        raise Invalid(
            N_("No host sees both %(storage)s and the template's image."),
            field="storage",
            fix=N_("Choose storage on the host of the template's image, or shared storage."),
            storage=storage.name,
        )


def _insert(vm: VirtualMachine, storage: StorageDomain, network: Network | None, version: TemplateVersion) -> None:
    try:
        with transaction.atomic():
            vm.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            N_("There is a machine called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=vm.name,
        ) from None
    disk = Disk(id=uuid4(), vm=vm, storage=storage, size_bytes=version.size_bytes)
    disk.volume = disk.volume_name(0)
    disk.path = specs.volume_path(storage, disk.volume)
    disk.save(force_insert=True)
    if network is not None:
        Nic.objects.create(vm=vm, network=network, mac=new_mac())
