"""Make a machine: from a template version (an overlay on its image, or a full copy), from an image, or blank."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from broker import sql
from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import cloud_init as words
from broker.virt import machine_options, macs, names, nics, quotas, specs
from broker.virt.driver import PowerState
from broker.virt.models import Disk, Image, InstanceType, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.origins import Origin, origin_of
from broker.virt.sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS
from broker.virt.storage_rules import require_usable


@transaction.atomic
def create_vm(
    *,
    actor: Actor,
    name: str,
    version: TemplateVersion | None = None,
    image: Image | None = None,
    disk_bytes: int | None = None,
    cd: Image | None = None,
    storage: StorageDomain | None = None,
    network: Network | None = None,
    card: str = Nic.Model.VIRTIO,
    title: str = "",
    description: str = "",
    instance_type: InstanceType | None = None,
    vcpus: int | None = None,
    memory_mib: int | None = None,
    machine: str | None = None,
    graphics: Collection[str] | None = None,
    linked: bool = True,
    options: Mapping[str, Any] | None = None,
    cloud_init: Mapping[str, Any] | None = None,
    start: bool = False,
) -> Job:
    """Write the machine's row and enqueue the rest; returns the job, whose `subject_id` is the machine's id.

    From a template's `version`, from a copy of an `image` of the library, made as large as `disk_bytes`, or with a
    blank disk of `disk_bytes`; `cd` lies in its drive, from which it boots while its disk holds no system.
    `storage`: where its disk goes, by default where the template or the image is; `network`: what its one card
    plugs into, by default none, and `card` its model. `graphics`: its screens, "vnc", "spice" or both. `options`: its
    hardware, by machine_options.py; `cloud_init`: what its guest is told at its first start, by cloud_init.py.
    What `vcpus`, `memory_mib` and `options` leave open is as `instance_type` says, and then as the version does.
    Who makes it owns it: gets the rights of an owner on it, and pays for it by their quota.
    Raises Missing, Denied, Invalid, Conflict, OverQuota.
    """
    origin = origin_of(
        actor, version=version, image=image, cd=cd, disk_bytes=disk_bytes, storage=storage, machine=machine
    )
    if network is not None:
        require(actor, "network.view", network)
    nics.checked({"model": card})
    size, chosen = instance_type or origin, instance_type.options if instance_type else {}
    resized = instance_type is not None or vcpus is not None or memory_mib is not None
    usual = machine_options.inherited(origin.options, resized=resized) | ({"boot": "disk-cdrom"} if cd else {})
    vm = VirtualMachine(
        cluster=origin.cluster,
        template_version=version,
        cd=cd,
        owner=actor.user,
        instance_type=instance_type,
        linked=bool(linked) and version is not None and origin.storage.kind != StorageDomain.Kind.ISCSI,
        name=names.name(name),
        title=names.title(title),
        description=names.description(description),
        vcpus=names.number(size.vcpus if vcpus is None else vcpus, field="vcpus", least=1, most=MOST_VCPUS),
        memory_mib=names.number(
            size.memory_mib if memory_mib is None else memory_mib,
            field="memory_mib",
            least=LEAST_MEMORY_MIB,
            most=MOST_MEMORY_MIB,
        ),
        machine=origin.machine,
        graphics=list(origin.graphics) if graphics is None else machine_options.checked_graphics(graphics),
        options=machine_options.changed(usual | chosen, options or {}),
        power_state=PowerState.UNKNOWN,
    )
    machine_options.ensure_fits(options=vm.options, vcpus=vm.vcpus, memory_mib=vm.memory_mib, machine=vm.machine)
    if cloud_init:
        vm.cloud_init, vm.seed_on = words.sealed(words.checked(cloud_init, name=vm.name)), origin.storage
    require_usable(origin.storage, luns=not cloud_init)
    origin.require_one_host(network=network)
    origin.locked()
    quotas.claim_creation(actor, vm, disk_bytes=origin.size_bytes, start=start)
    _insert(vm, origin, network, card)
    give_to_maker(actor, "vm-manager", vm)
    record("vm.create.asked", actor=actor, subject=vm, message=N_("Creation of %(name)s was asked for"), name=vm.name)
    publish("vm", vm.pk, "created")
    args = {"start": bool(start)} | ({"image": str(image.pk)} if image else {})
    return enqueue("vm.create", actor=actor, subject=vm, args=args)


def _insert(vm: VirtualMachine, origin: Origin, network: Network | None, card: str) -> None:
    try:
        with transaction.atomic():
            sql.add(vm)
    except IntegrityError:
        raise Conflict(
            N_("There is a machine called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=vm.name,
        ) from None
    disk = Disk(id=uuid4(), vm=vm, storage=origin.storage, size_bytes=origin.size_bytes)
    disk.volume = disk.volume_name(0)
    disk.path = specs.volume_path(origin.storage, disk.volume)
    sql.add(disk)
    if network is not None:
        macs.plug(Nic(vm=vm, network=network, model=card))
