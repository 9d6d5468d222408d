"""vm.adopt: read what the machine is made of, and write down what of it Berth can look after."""

from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import machine_options, names, specs, work
from broker.virt.driver import FoundDisk, FoundMachine
from broker.virt.models import Disk, Image, Network, Nic, SnapshotDisk, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.states import VM

PLACING = (
    ("cpu_pinning",), ("emulator_cpus",), ("hugepages_kib",), ("numa_nodes",), ("numa_mode", "numa_host_nodes"),
)  # fmt: skip


def adopt(ctx: Context) -> None:
    vm = work.machine(ctx)
    host = work.host_of(vm)
    found = work.line(ctx, vm).found(str(vm.pk))
    storages = [one for one in StorageDomain.objects.filter(cluster=vm.cluster_id) if one.host_id in (None, host.pk)]
    networks = {specs.network_spec(one).name: one for one in Network.objects.filter(cluster=vm.cluster_id)}
    outside = list(found.outside)
    with ctx.write():
        vm.disks.all().delete()
        vm.nics.all().delete()
        for order, one in enumerate(found.disks):
            storage = next((each for each in storages if _lies_on(one, each)), None)
            if storage is None:
                outside.append(f"disk {one.target}")
                continue
            _keep(vm, storage, one, order)
        # As macs.plug_all: in the order of their addresses.
        for order, card in sorted(enumerate(found.nics), key=lambda one: one[1].mac.lower()):
            if card.network in networks and not Nic.objects.filter(mac=names.mac(card.mac)).exists():
                Nic.objects.create(vm=vm, network=networks[card.network], mac=names.mac(card.mac), order=order)
            else:
                outside.append(f"card {card.mac}")
        VirtualMachine.objects.filter(pk=vm.pk).update(outside=outside, **_columns(found))
    work.observe(ctx, vm)
    with ctx.write():
        VM.attempt(VirtualMachine.objects.filter(pk=vm.pk), "created")
        work.tell(
            ctx, vm, "vm.adopted", N_("%(name)s was adopted; left alone on it: %(outside)s"),
            outside=", ".join(sorted(set(outside))) or "-",
        )  # fmt: skip


def _lies_on(disk: FoundDisk, storage: StorageDomain) -> bool:
    folder, _, volume = disk.path.rpartition("/")
    return folder == storage.path.rstrip("/") and bool(volume)


def _keep(vm: VirtualMachine, storage: StorageDomain, one: FoundDisk, order: int) -> None:
    volume = one.path.rpartition("/")[2]
    of_others = (
        Disk.objects.filter(storage=storage, volume=volume),
        SnapshotDisk.objects.filter(storage=storage, volume=volume),
        TemplateVersion.objects.filter(storage=storage, volume=volume),
        Image.objects.filter(storage=storage, volume=volume),
    )
    if any(rows.exists() for rows in of_others):
        raise Conflict(
            N_("The disk %(target)s of %(name)s is the file %(volume)s, which is something else's here."),
            rule="adopt.disk", fix=N_("Give the machine a copy of its own."), target=one.target, name=vm.name,
            volume=volume,
        )  # fmt: skip
    Disk.objects.create(
        vm=vm, storage=storage, target=one.target, order=order, volume=volume, path=one.path, size_bytes=one.capacity
    )


def _columns(found: FoundMachine) -> dict[str, object]:
    """The machine's columns, so that writing them into its definition changes nothing there."""
    options = {"video": found.video, "balloon_mib": found.balloon_mib, **_placing(found)}
    return {
        "title": found.title[:128], "vcpus": found.vcpus, "memory_mib": found.memory_mib, "machine": found.machine,
        "graphics": list(found.graphics), "options": {name: value for name, value in options.items() if value},
    }  # fmt: skip


def _placing(found: FoundMachine) -> dict[str, Any]:
    """Where on its host it runs, as far as Berth can say such a thing too; the rest stays in its definition alone."""
    kept: dict[str, Any] = {}
    for names_ in PLACING:
        try:
            one = machine_options.changed(kept, {name: getattr(found, name) for name in names_})
            machine_options.ensure_fits(
                options=one, vcpus=found.vcpus, memory_mib=found.memory_mib, machine=found.machine
            )
        except Invalid:
            continue
        kept = one
    return {name: value for name, value in kept.items() if value != machine_options.KNOWN[name].default}


def let_go(ctx: Context) -> None:
    """It is somebody else's again; on the host nothing was changed."""
    with ctx.write():
        VirtualMachine.objects.filter(pk=ctx.job.subject_id).delete()
        publish("vm", ctx.job.subject_id, "deleted")


register(
    Plan(
        "vm.adopt",
        N_("Adopt"),
        "vm",
        (Step("adopt", adopt, N_("Read what it is made of"), probe=work.told("vm.adopted"), undo=let_go),),
    )
)  # fmt: skip
