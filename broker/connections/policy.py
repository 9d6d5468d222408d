"""Which policy holds for a machine's consoles, and what it says in words."""

from typing import Any

from django.db.models import Q
from django.db.models.signals import post_delete
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.kinds import kind_of
from broker.access.lineage import lineage
from broker.virt.models import VirtualMachine

from .models import ConsolePolicy


def policy_for(obj: Any) -> ConsolePolicy:
    """The policy set on a pool or machine itself; unsaved, and allowing all, when there is none."""
    kind = kind_of(obj).name
    row = ConsolePolicy.objects.filter(object_kind=kind, object_id=obj.pk).first()
    return row or ConsolePolicy(object_kind=kind, object_id=obj.pk)


def policy_of(vm: VirtualMachine) -> ConsolePolicy:
    """The policy that holds for the machine: its own, else its pool's. Two queries.

    What a pool records is recorded whatever its machine's own policy says: that one may be set by who uses it.
    """
    places = Q(pk__in=[])
    for kind, key in lineage(vm):
        if kind in ("vm", "pool"):
            places |= Q(object_kind=kind, object_id=key)
    rows = {row.object_kind: row for row in ConsolePolicy.objects.filter(places)}
    holds = rows.get("vm") or rows.get("pool") or ConsolePolicy(object_kind="vm", object_id=vm.pk)
    holds.record = any(row.record for row in rows.values())
    return holds


def forget_with(kind: str, model: str) -> None:
    """A policy goes with its object: the reference is by kind and id, which no database follows."""

    def forget(instance: Any, **kwargs: Any) -> None:
        ConsolePolicy.objects.filter(object_kind=kind, object_id=instance.pk).delete()

    post_delete.connect(forget, sender=model, weak=False, dispatch_uid=f"console-policy.forget.{kind}")


def told(policy: ConsolePolicy) -> list[str]:
    """What the policy takes away or does, as sentences for who sits at the screen; nothing for what is usual."""
    clipboard = {
        ConsolePolicy.Clipboard.IN: _("Text can be pasted into this desktop, not copied out of it."),
        ConsolePolicy.Clipboard.OUT: _("Text can be copied out of this desktop, not pasted into it."),
        ConsolePolicy.Clipboard.NONE: _("No text can be pasted into this desktop or copied out of it."),
    }
    sentences = [_("This session is recorded.") if policy.record else ""]
    sentences.append(clipboard.get(ConsolePolicy.Clipboard(policy.clipboard), ""))
    if not policy.files:
        sentences.append(_("Files cannot be transferred."))
    if not policy.usb:
        sentences.append(_("USB devices cannot be connected."))
    if policy.watermark:
        sentences.append(_("Your name is shown over the picture."))
    if policy.lock_after:
        minutes = max(round(policy.lock_after / 60), 1)
        words = ngettext(
            "The picture is covered after %(count)d minute without a key or a click.",
            "The picture is covered after %(count)d minutes without a key or a click.",
            minutes,
        )
        sentences.append(words % {"count": minutes})
    if policy.speed:
        sentences.append(_("The picture takes at most %(speed)d KiB a second.") % {"speed": policy.speed})
    return [sentence for sentence in sentences if sentence]
