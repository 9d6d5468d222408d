"""Make a new version of a template from a machine: its disk as it is now, or as a snapshot holds it, sealed."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import machine_options, names
from broker.virt.asking import require_power, require_usable
from broker.virt.cloning import Original, originals
from broker.virt.driver import PowerState
from broker.virt.models import Snapshot, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from broker.virt.storage_rules import require_files

GIVE_UP_AFTER = 180  # seconds the guest has to shut down


@transaction.atomic
def make_template_version(
    *,
    actor: Actor,
    vm: VirtualMachine,
    template: VmTemplate | None = None,
    snapshot: Snapshot | None = None,
    storage: StorageDomain | None = None,
    notes: str = "",
    seal: bool = True,
    inside: bool = False,
    shut_down: bool = False,
    live: bool = False,
) -> Job:
    """Enqueue it; returns the job, whose subject is the machine: nothing else is done to it meanwhile.

    The new version's id is in the job's args as `version`. `template`: the machine's own when None. `snapshot`: its
    first disk as this one of its snapshots holds it; the machine may run. `storage`: where the image is kept, the
    template's present one when None. `seal`: take out what makes the machine itself, from its image; `inside`: before
    that also in the running machine, which loses it too. A running machine is shut down first and started again
    afterwards (`shut_down`), or works on and its disk is copied as it is at one moment (`live`). Raises Missing,
    Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", vm)
    template = template or (vm.template_version.template if vm.template_version else None)
    if template is None:
        raise Invalid(N_("Say of which template."), field="template", fix=N_("Choose one, or make one first."))
    require(actor, "template.manage", template)
    if storage is not None:
        require(actor, "storage.view", storage)
    _check_place(vm, template, storage)
    require_usable(vm)
    if live and shut_down:
        raise Invalid(
            N_("It cannot be shut down for the copy and run on."), field="live", fix=N_("Choose one of the two.")
        )
    running = snapshot is None and _check_power(vm, inside=inside, prepared=shut_down or live)
    if snapshot is not None and (inside or shut_down or live):
        raise Invalid(
            N_("A snapshot is copied as it is."), field="inside" if inside else "live" if live else "shut_down",
            fix=N_("Leave this out, or copy the machine itself."),
        )  # fmt: skip
    disk = _first_disk(vm, snapshot)
    VmTemplate.objects.select_for_update().get(pk=template.pk)
    last = template.versions.order_by("-number").first()
    version = TemplateVersion(
        template=template,
        number=(last.number if last else 0) + 1,
        notes=names.description(notes, field="notes"),
        storage=storage or (last.storage if last else disk.storage),
        size_bytes=disk.size_bytes,
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        machine=vm.machine,
        graphics=list(vm.graphics),
        options=machine_options.inherited(vm.options),
        made_from=vm.name,
    )
    require_files(version.storage)
    version.volume = f"template-{version.id}.qcow2"
    version.save(force_insert=True)
    record(
        "template.make.asked", actor=actor, subject=template,
        message=N_("A version %(version)s from %(machine)s was asked for"), version=version, machine=vm.name,
    )  # fmt: skip
    publish("template", template.pk, "changed")
    publish("vm", vm.pk, "asked")
    args: dict[str, Any] = {
        "version": str(version.pk), "disk": str(disk.disk.pk), "snapshot": str(snapshot.pk) if snapshot else "",
        "seal": bool(seal), "inside": bool(inside and running),
        "start": running and not live, "live": running and live, "give_up_after": GIVE_UP_AFTER,
    }  # fmt: skip
    return enqueue("template.make", actor=actor, subject=vm, args=args)


def _check_place(vm: VirtualMachine, template: VmTemplate, storage: StorageDomain | None) -> None:
    for field, cluster, name in (
        ("template", template.cluster_id, template.name),
        ("storage", storage.cluster_id if storage else vm.cluster_id, storage.name if storage else ""),
    ):
        if cluster != vm.cluster_id:
            raise Invalid(
                N_("%(name)s belongs to another cluster."), field=field, fix=N_("Choose one of the machine's cluster."),
                name=name,
            )  # fmt: skip


def _check_power(vm: VirtualMachine, *, inside: bool, prepared: bool) -> bool:
    """Whether it runs; then somebody has said how it is to be copied."""
    running = vm.power_state == PowerState.RUNNING
    if running and not prepared:
        raise Conflict(
            N_("%(name)s is running."),
            rule="power.off",
            fix=N_("Shut it down first, have it shut down for the copy, or have it copied while it runs."),
            name=vm.name,
        )
    if inside and not running:
        raise Conflict(
            N_("%(name)s does not run, so nothing can be sealed inside it."),
            rule="power.running",
            fix=N_("Start it first, or seal its image only."),
            name=vm.name,
        )
    if not running:
        require_power(vm, (PowerState.OFF, PowerState.CRASHED))
    return running


def _first_disk(vm: VirtualMachine, snapshot: Snapshot | None) -> Original:
    found = originals(vm, snapshot)
    if not found or found[0].disk != vm.disks.first():
        raise Conflict(
            N_("There is no first disk of %(name)s to copy."), rule="disk.present",
            fix=N_("Choose another machine or another of its snapshots."), name=vm.name,
        )  # fmt: skip
    return found[0]
