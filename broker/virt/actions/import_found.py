"""Take a machine or a template's version into Berth that was found on a storage; its disks stay where they are."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import autostart, machine_options, names, quotas, specs, storage_found, storage_notes
from broker.virt.driver import PowerState
from broker.virt.drivers import names as host_names
from broker.virt.models import Disk, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from broker.virt.origins import MACHINES
from broker.virt.sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS
from broker.virt.states import VersionState, VmState
from broker.virt.storage_found import Found
from broker.virt.storage_rules import require_usable


@transaction.atomic
def import_found(*, actor: Actor, storage: StorageDomain, found: UUID, name: str = "") -> models.Model:
    """`found`: the id of what to take; `name`: what it is called here, by default as before.

    Cards are plugged into the networks of the cluster that are called as theirs were, and left out where there is
    none or their address is taken. Returns the machine or the version.
    Raises Missing, Denied, Invalid, Conflict (name or disk taken), OverQuota.
    """
    require(actor, "storage.manage", storage)
    require_usable(storage, luns=True)
    thing = next((one for one in storage_found.on(storage) if one.id == found), None)
    if thing is None:
        raise Invalid(
            N_("There is no such thing to import on %(name)s."),
            field="found",
            fix=N_("Look at the storage's page for what was found there."),
            name=storage.name,
        )
    take = _machine if thing.kind == "vm" else _version
    try:
        with transaction.atomic():
            row = take(actor, storage, thing, name)
    except IntegrityError:
        raise Conflict(
            N_("The name or a disk of %(name)s is taken here."),
            rule="name.unique",
            fix=N_("Give it another name; a disk that is in use here cannot be imported again."),
            name=thing.name,
        ) from None
    except (ValidationError, AttributeError, KeyError, TypeError, ValueError):
        raise Invalid(
            N_("What the storage says of %(name)s is not usable."),
            field="found",
            fix=N_("Import its disks as images instead."),
            name=thing.name,
        ) from None
    record("storage.imported", actor=actor, subject=row, message=N_("%(name)s was imported from %(storage)s"),
           name=str(row), storage=storage.name)  # fmt: skip
    publish("storage", storage.pk, "changed")
    return row


def _machine(actor: Actor, storage: StorageDomain, thing: Found, name: str) -> models.Model:
    require(actor, "vm.create", storage.cluster)
    entry = thing.entry
    vm = VirtualMachine(
        id=thing.id, cluster=storage.cluster, state=VmState.READY, power_state=PowerState.OFF,
        name=names.name(name or str(entry["row"]["name"])), **_columns(VirtualMachine, entry["row"], but="name"),
    )  # fmt: skip
    if entry["version"]:
        vm.template_version = TemplateVersion.objects.filter(pk=UUID(str(entry["version"]))).first()
    if vm.linked and vm.template_version is None:
        raise Conflict(
            N_("%(name)s is a linked clone, and the template it came from is not here."),
            rule="storage.template",
            fix=N_("Import the template's version first."),
            name=vm.name,
        )
    _check_wish(vm)
    vm.full_clean(exclude=("cluster", "template_version", "owner", "host"), validate_unique=False)
    disks = [_disk(vm, storage, one) for one in entry["disks"]]
    quotas.claim_creation(actor, vm, disk_bytes=sum(disk.size_bytes for disk in disks), start=False)
    vm.save(force_insert=True)
    for disk in disks:
        disk.save(force_insert=True)
    # As macs.plug_all: in the order of their addresses.
    for order, one in sorted(enumerate(entry["nics"]), key=lambda card: str(card[1]["row"]["mac"]).lower()):
        _plug(vm, one, order)
    give_to_maker(actor, "vm-manager", vm)
    publish("vm", vm.pk, "created")
    return vm


def _check_wish(vm: VirtualMachine) -> None:
    """What an editor of the machine would have been held to. Raises Invalid or ValueError."""
    vm.title, vm.description = names.title(vm.title), names.description(vm.description)
    names.number(vm.vcpus, field="vcpus", least=1, most=MOST_VCPUS)
    names.number(vm.memory_mib, field="memory_mib", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB)
    if vm.machine not in MACHINES or not vm.graphics or not set(vm.graphics) <= {"vnc", "spice"}:
        raise ValueError("no machine type or console of ours")
    autostart.checked_order(vm.autostart_order)
    autostart.checked_delay(vm.autostart_delay)
    vm.options = machine_options.changed({}, vm.options)
    machine_options.ensure_fits(options=vm.options, vcpus=vm.vcpus, memory_mib=vm.memory_mib, machine=vm.machine)


def _disk(vm: VirtualMachine, storage: StorageDomain, one: dict[str, Any]) -> Disk:
    """Its file is one in the storage's directory, whatever the note says of paths."""
    disk = Disk(id=UUID(str(one["id"])), vm=vm, storage=storage, **_columns(Disk, one["row"], but="path"))
    disk.volume = host_names.check(disk.volume)
    disk.path = specs.volume_path(storage, disk.volume)
    disk.full_clean(exclude=("vm", "storage"), validate_unique=False, validate_constraints=False)
    return disk


def _plug(vm: VirtualMachine, one: dict[str, Any], order: int) -> None:
    network = Network.objects.filter(cluster=vm.cluster, name=str(one["network"])).first()
    mac = names.mac(str(one["row"]["mac"]))
    if network is not None and not Nic.objects.filter(mac=mac).exists():
        Nic.objects.create(vm=vm, network=network, mac=mac, order=order)


def _version(actor: Actor, storage: StorageDomain, thing: Found, name: str) -> models.Model:
    require(actor, "template.create", storage.cluster)
    entry, told = thing.entry, thing.entry["template"]
    template = VmTemplate.objects.filter(pk=UUID(str(told["id"])), cluster=storage.cluster).first()
    if template is None:
        template = VmTemplate(
            id=UUID(str(told["id"])), cluster=storage.cluster,
            name=names.name(name or str(told["row"]["name"])), **_columns(VmTemplate, told["row"], but="name"),
        )  # fmt: skip
        template.full_clean(exclude=("cluster",), validate_unique=False)
        template.save(force_insert=True)
    version = TemplateVersion(
        id=thing.id, template=template, storage=storage, state=VersionState.READY,
        **_columns(TemplateVersion, entry["row"]),
    )  # fmt: skip
    version.volume = host_names.check(version.volume)
    version.options = machine_options.changed({}, version.options)
    version.full_clean(exclude=("template", "storage"), validate_unique=False, validate_constraints=False)
    version.save(force_insert=True)
    publish("template", template.pk, "changed")
    return version


def _columns(model: type[models.Model], told: dict[str, Any], *, but: str = "") -> dict[str, Any]:
    """Of what the note tells, the columns that describe a wish and that this Berth has."""
    known = storage_notes.wished_columns(model) - {but}
    return {column: value for column, value in told.items() if column in known}
