"""Say whether a guest may write to a disk, what becomes of what it discards and of zeroes, and of it when it goes."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.disk_rules import require_kept, require_no_snapshots
from broker.virt.models import Disk, VirtualMachine
from broker.virt.models.disk import Wipe

_WIPE = "wipe_after_delete"
_CHOICES: dict[str, list[str]] = {
    "discard": Disk.Discard.values, "detect_zeroes": Disk.Zeroes.values, _WIPE: Wipe.values
}  # fmt: skip


@transaction.atomic
def edit_disk(
    *,
    actor: Actor,
    disk: Disk,
    read_only: bool | None = None,
    discard: str | None = None,
    detect_zeroes: str | None = None,
    wipe_after_delete: str | None = None,
) -> Disk:
    """Write what is given (None: leave) at once while the machine is off; else note it for its next start: no run takes
    it. `wipe_after_delete` is Berth's alone and counts at once. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", disk.vm)
    given: dict[str, Any] = {
        "discard": discard, "detect_zeroes": detect_zeroes, "read_only": read_only, _WIPE: wipe_after_delete,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    for name, known in _CHOICES.items():
        if name in values and values[name] not in known:
            raise Invalid(
                N_("There is no such choice."), field=name, fix=N_("Use one of: %(known)s."), known=", ".join(known)
            )
    vm = VirtualMachine.objects.select_for_update().get(pk=disk.vm_id)
    require_usable(vm)
    if pending.is_off(vm):
        require_idle(vm)
        pending.fold(vm)
    disk = Disk.objects.select_related("vm", "storage").get(pk=disk.pk)
    noted, present = pending.of_part(pending.of(vm), disk), {name: getattr(disk, name) for name in values}
    changed = {name for name, value in values.items() if noted.get(name, present[name]) != value}
    if not changed:
        return disk
    after = {"discard": disk.discard, "detect_zeroes": disk.detect_zeroes, **noted, **values}
    if after["detect_zeroes"] == Disk.Zeroes.UNMAP and after["discard"] == Disk.Discard.IGNORE:
        raise Conflict(
            N_("Space is given back for zeroes only where it is for what the guest discards."), rule="disk.discard",
            fix=N_("Let discard give space back, too."),
        )  # fmt: skip
    if "read_only" in changed:
        require_kept(vm)
        require_no_snapshots(vm)  # they would hold it as something to write to
    record(
        "vm.disk.edited", actor=actor, subject=vm, target=disk.target, name=vm.name, fields=", ".join(sorted(changed)),
        message=N_("The disk %(target)s of %(name)s was changed: %(fields)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if _WIPE in values:
        disk.wipe_after_delete = values.pop(_WIPE)
        disk.save(update_fields=[_WIPE])
    if pending.is_off(vm):
        pending.settle_part(disk, values)
        return disk
    kept = {**noted, **values}
    pending.keep_part(
        disk, {name: value for name, value in kept.items() if getattr(disk, name) != value}, actor=actor
    )  # fmt: skip
    return disk
