"""A machine's disks and snapshots: the page, what can be done with each, and the forms for new ones."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.require import find, may
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import Disk, Preview, Snapshot, VirtualMachine
from broker.virt.models.disk import Wipe
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.disk_forms import GIB, GrowDiskForm, NewDiskForm, SnapshotForm
from portal.web.form_page import FormPage
from portal.web.parts import Action, Cell, Pair, Related, Row, jobs_of, recent_events
from portal.web.words import Mark

from .backups import job_notices
from .disk_doctor import examination, examine_actions
from .disk_edits import kept_as
from .disk_limits import told
from .disk_moves import cancel_of
from .exports import exports_of
from .preview_parts import end_actions, look_actions, preview_notices
from .shared_disks import shared_disks_of

NONE = N_("There is no such object.")


def disk_of(vm: VirtualMachine, disk: Any) -> Disk:
    found = vm.disks.select_related("vm", "storage").filter(pk=disk).first()
    if found is None:
        raise Missing(NONE, fix=N_("Go back to the list; it may have been removed, or is not yours."))
    return found


def snapshot_of(vm: VirtualMachine, snapshot: Any) -> Snapshot:
    found = vm.snapshots.select_related("vm").filter(pk=snapshot).first()
    if found is None:
        raise Missing(NONE, fix=N_("Go back to the list; it may have been removed, or is not yours."))
    return found


class MachineDisks(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        job = jobs_of("vm", [vm.pk]).get(vm.pk)
        able = may(self.actor, "vm.edit", vm) and vm.state == "ready" and not job
        disks = list(vm.disks.select_related("storage"))
        snapshots = list(vm.snapshots.prefetch_related("disks"))
        preview = Preview.objects.select_related("snapshot").filter(vm=vm).first()
        return {
            "title": _("Disks and snapshots of %(name)s") % {"name": vm.title or vm.name},
            "mark": words.machine_mark(vm, job),
            "notices": [*job_notices(job), *preview_notices(preview)],
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": vm.title or vm.name,
            "live_kinds": f"vm:{vm.pk} job",
            "actions": (end_actions(vm) if preview else _new(vm)) if able else cancel_of(self.actor, job),
            "details": [
                Pair(_("Disks"), str(len(disks))),
                Pair(_("Size"), bytesize(sum(disk.size_bytes for disk in disks))),
                Pair(_("Snapshots"), str(len(snapshots))),
                *([Pair(_("CD"), vm.cd.name)] if vm.cd else []),
            ],
            "relateds": [
                _disks(vm, disks, able and not preview),
                *shared_disks_of(vm, able and not preview),
                _snapshots(vm, snapshots, able and not preview),
                exports_of(vm, may(self.actor, "vm.backup", vm)),
                examination(vm),
            ],
            "events": recent_events("vm", vm.pk, self.actor),
        }


def _new(vm: VirtualMachine) -> list[Action]:
    return [
        Action(_("New disk"), reverse("portal:disk-new", args=[vm.pk]), "plus", link=True),
        Action(_("Attach a shared disk"), reverse("portal:shared-disk-new", args=[vm.pk]), "plug-connected", link=True),
        Action(_("Take a snapshot"), reverse("portal:snapshot-new", args=[vm.pk]), "history", link=True),
        Action(_("Move to another storage"), reverse("portal:disks-move", args=[vm.pk]), "database", link=True),
        Action(_("Download a disk"), reverse("portal:disk-export", args=[vm.pk]), "file-download", link=True),
        Action(_("Export as OVA"), reverse("portal:vm-export", args=[vm.pk]), "file-download", link=True),
        Action(_("Change the CD"), reverse("portal:vm-cd", args=[vm.pk]), "template", link=True),
        *examine_actions(vm),
    ]


def _disks(vm: VirtualMachine, disks: list[Disk], able: bool) -> Related:
    bus = {"scsi": "SCSI", "sata": "SATA"}.get(vm.options.get("disk_bus", ""), "")
    rows = [
        Row(
            [
                Cell(disk.target, under=", ".join(filter(None, (disk.format, bus, kept_as(disk), told(disk))))),
                Cell(bytesize(disk.size_bytes)), Cell(bytesize(disk.allocated_bytes)),
                Cell(disk.storage.name, under=disk.volume),
            ],
            _disk_actions(vm, disk, first=number == 0) if able else (),
        )
        for number, disk in enumerate(disks)
    ]  # fmt: skip
    heads = [_("Disk"), _("Size"), _("Used"), _("Storage")]
    return Related(_("Disks"), heads, rows, _("It has no disk."), acting=True)


def _disk_actions(vm: VirtualMachine, disk: Disk, *, first: bool) -> list[Action]:
    grow = Action(_("Grow"), reverse("portal:disk-grow", args=[vm.pk, disk.pk]), "arrows-maximize", link=True)
    limits = Action(_("Limits"), reverse("portal:disk-limits", args=[vm.pk, disk.pk]), "activity", link=True)
    convert = Action(_("Convert"), reverse("portal:disk-convert", args=[vm.pk, disk.pk]), "refresh", link=True)
    change = Action(_("Change"), reverse("portal:disk-edit", args=[vm.pk, disk.pk]), "edit", link=True)
    if first:
        return [grow, limits, change, convert]
    return [
        grow,
        limits,
        change,
        convert,
        Action(
            _("Take it out"), reverse("portal:disk-detach", args=[vm.pk, disk.pk]), "logout",
            confirm=_("The guest is asked to let the disk %(target)s go. It is kept, and can be attached elsewhere.")
            % {"target": disk.target},
        ),
        Action(
            _("Delete"), reverse("portal:disk-delete", args=[vm.pk, disk.pk]), "trash", danger=True,
            confirm=_("The disk %(target)s and all that is stored on it is deleted.") % {"target": disk.target},
        ),
    ]  # fmt: skip


def _snapshots(vm: VirtualMachine, snapshots: list[Snapshot], able: bool) -> Related:
    rows = [
        Row(
            [
                Cell(_branch(depth) + one.name, under=one.description),
                Cell(mark=Mark(_("Current"), "good")) if one.current else Cell(""),
                Cell(_kept(one)),
                Cell(moment=one.created_at),
            ],
            _snapshot_actions(vm, one) if able else (),
        )
        for one, depth in _tree(snapshots)
    ]
    heads = [_("Snapshot"), _("State"), _("Kept"), _("Taken")]
    return Related(_("Snapshots"), heads, rows, _("None was taken yet."), acting=True)


def _branch(depth: int) -> str:
    return "\N{EM SPACE}" * (depth - 1) + "\N{BOX DRAWINGS LIGHT UP AND RIGHT} " if depth else ""


def _tree(snapshots: list[Snapshot]) -> list[tuple[Snapshot, int]]:
    """Each with its depth, children right below their parents."""
    below: dict[Any, list[Snapshot]] = {}
    for one in snapshots:
        below.setdefault(one.parent_id, []).append(one)
    found: list[tuple[Snapshot, int]] = []
    todo = [(one, 0) for one in reversed(below.get(None, []))]
    while todo:
        one, depth = todo.pop()
        found.append((one, depth))
        todo += [(child, depth + 1) for child in reversed(below.get(one.pk, []))]
    return found


def _kept(one: Snapshot) -> str:
    count = len(one.disks.all())
    kept = [ngettext("%(count)d disk", "%(count)d disks", count) % {"count": count}]
    kept += [_("memory")] if one.memory else []
    kept += [_("file systems settled")] if one.quiesced else []
    return ", ".join(kept)


def _snapshot_actions(vm: VirtualMachine, one: Snapshot) -> list[Action]:
    return [
        Action(
            _("Go back to it"), reverse("portal:snapshot-revert", args=[vm.pk, one.pk]), "rotate-clockwise",
            danger=True,
            confirm=_("The machine is powered off, and what was written since the last snapshot is lost."),
        ),
        *look_actions(vm, one),
        Action(_("Clone from it"), reverse("portal:snapshot-clone", args=[vm.pk, one.pk]), "copy", link=True),
        Action(
            _("Make a template version"), reverse("portal:snapshot-version", args=[vm.pk, one.pk]), "template",
            link=True,
        ),
        Action(
            _("Delete"), reverse("portal:snapshot-delete", args=[vm.pk, one.pk]), "trash", danger=True,
            confirm=_("The snapshot %(name)s can then no longer be gone back to. The machine stays as it is.")
            % {"name": one.name},
        ),
    ]  # fmt: skip


class _MachineForm(FormPage):
    """A form about one machine, which its user may change."""

    title = under = submit = ""

    def vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.edit")

    def words(self, pk: Any, **more: Any) -> dict[str, Any]:
        vm = self.vm(pk)
        return {
            "title": _(self.title) % {"name": vm.title or vm.name},
            "under": _(self.under),
            "submit": _(self.submit),
            "back_url": reverse("portal:vm-disks", args=[vm.pk]),
            "back_label": _("Disks and snapshots"),
        }


class NewDisk(_MachineForm):
    title = N_("New disk for %(name)s")
    under = N_("It is blank, and plugged in at once when the machine runs.")
    submit = N_("Make the disk")

    def form(self, data: Any, pk: Any) -> NewDiskForm:
        return NewDiskForm(data, actor=self.actor, vm=self.vm(pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        size = values["size_gib"] * GIB
        wipe = values["wipe_after_delete"] or Wipe.STORAGE
        create_disk(
            actor=self.actor, vm=self.vm(pk), size_bytes=size, storage=values["storage"], wipe_after_delete=wipe
        )
        return reverse("portal:vm-disks", args=[pk])


class GrowDisk(_MachineForm):
    title = N_("Grow a disk of %(name)s")
    under = N_("A running guest sees the new size at once.")
    submit = N_("Grow it")

    def form(self, data: Any, pk: Any, disk: Any) -> GrowDiskForm:
        size = disk_of(self.vm(pk), disk).size_bytes
        return GrowDiskForm(data, initial={"size_gib": -(-size // GIB)})

    def make(self, values: dict[str, Any], pk: Any, disk: Any) -> str:
        grow_disk(actor=self.actor, disk=disk_of(self.vm(pk), disk), size_bytes=values["size_gib"] * GIB)
        return reverse("portal:vm-disks", args=[pk])


class TakeSnapshot(_MachineForm):
    title = N_("Take a snapshot of %(name)s")
    under = N_("The machine can be put back to how its disks are now. It goes on running meanwhile.")
    submit = N_("Take it")

    def form(self, data: Any, pk: Any) -> SnapshotForm:
        return SnapshotForm(data, vm=self.vm(pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        take_snapshot(actor=self.actor, vm=self.vm(pk), **values)
        return reverse("portal:vm-disks", args=[pk])


class DeleteDisk(Deed):
    def do(self, pk: Any, disk: Any) -> HttpResponse:
        delete_disk(actor=self.actor, disk=disk_of(find(self.actor, VirtualMachine, pk), disk))
        return done(self.request, _("The disk is being deleted."))


class RevertSnapshot(Deed):
    def do(self, pk: Any, snapshot: Any) -> HttpResponse:
        revert_snapshot(actor=self.actor, snapshot=snapshot_of(find(self.actor, VirtualMachine, pk), snapshot))
        return done(self.request, _("The machine is being put back."))


class DeleteSnapshot(Deed):
    def do(self, pk: Any, snapshot: Any) -> HttpResponse:
        delete_snapshot(actor=self.actor, snapshot=snapshot_of(find(self.actor, VirtualMachine, pk), snapshot))
        return done(self.request, _("The snapshot is being deleted."))
