"""What the page of disks says of a snapshot that the machine looks at, and the ways in and out."""

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.virt.models import Preview, Snapshot, VirtualMachine
from portal.web.parts import Action, Notice


def preview_notices(preview: Preview | None) -> list[Notice]:
    if preview is None:
        return []
    text = _("It looks at the snapshot %(name)s. What it had before is set aside until you choose which to keep.")
    return [Notice(text % {"name": preview.snapshot.name})]


def look_actions(vm: VirtualMachine, one: Snapshot) -> list[Action]:
    """Only while it is off: nobody loses what is in its memory by looking."""
    if vm.power_state not in ("off", "crashed"):
        return []
    return [Action(_("Look at it"), reverse("portal:snapshot-preview", args=[vm.pk, one.pk]), "eye", link=True)]


def end_actions(vm: VirtualMachine) -> list[Action]:
    return [
        Action(
            _("Keep this state"), reverse("portal:preview-commit", args=[vm.pk]), "check", danger=True,
            confirm=_("What the machine had before it looked at the snapshot is lost."),
        ),
        Action(
            _("Go back to before"), reverse("portal:preview-undo", args=[vm.pk]), "rotate-clockwise", danger=True,
            confirm=_("The machine is powered off, and what was written since it looks at the snapshot is lost."),
        ),
    ]  # fmt: skip
