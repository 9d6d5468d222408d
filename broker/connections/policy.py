"""Which policy holds for a machine's consoles, and what it says in words."""

from collections.abc import Collection
from copy import copy
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.signals import post_delete
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.kinds import kind_of
from broker.sql import Given, Statement
from broker.virt.driver import ScreenParts
from broker.virt.models import VirtualMachine
from broker.virt.screen_wishes import present

from .models import ConsolePolicy

USB_PORTS = 2
"""How many devices of their own computer users can plug in at once."""


def policy_for(obj: Any) -> ConsolePolicy:
    """The policy set on a pool or machine itself; unsaved, and allowing all, when there is none."""
    kind = kind_of(obj).name
    row = ConsolePolicy.objects.filter(object_kind=kind, object_id=obj.pk).first()
    return row or ConsolePolicy(object_kind=kind, object_id=obj.pk)


def policy_of(vm: VirtualMachine) -> ConsolePolicy:
    """The policy that holds for the machine: its own, else its pool's. One query.

    What a pool records is recorded whatever its machine's own policy says: that one may be set by who uses it. Nor does
    that let in anybody without an account whom the pool does not, or sign anybody on in the guest.
    """
    return _merged(vm.pk, {row.object_kind: row for row in _HOLDING.objects(vm=vm.pk)})


def policies_of(machines: Collection[VirtualMachine]) -> dict[UUID, ConsolePolicy]:
    """`policy_of` each, by the machine's id: two queries, none without machines."""
    if not machines:
        return {}
    ids = [vm.pk for vm in machines]
    in_pools = VirtualMachine.objects.filter(pk__in=ids).order_by().values_list("pk", _pool())
    pools: dict[UUID, UUID] = {pk: pool for pk, pool in in_pools if pool}
    asked = Q(object_kind="vm", object_id__in=ids) | Q(object_kind="pool", object_id__in=set(pools.values()))
    found: dict[tuple[str, UUID | None], ConsolePolicy] = {
        (row.object_kind, row.object_id): row for row in ConsolePolicy.objects.filter(asked)
    }
    holding = {}
    for pk in ids:
        both = {"vm": found.get(("vm", pk)), "pool": found.get(("pool", pools.get(pk)))}
        holding[pk] = _merged(pk, {kind: copy(row) for kind, row in both.items() if row})
    return holding


def _merged(vm: UUID, rows: dict[str, ConsolePolicy]) -> ConsolePolicy:
    holds = rows.get("vm") or rows.get("pool") or ConsolePolicy(object_kind="vm", object_id=vm)
    holds.record = any(row.record for row in rows.values())
    holds.guests = bool(rows) and all(row.guests for row in rows.values())
    signs_on = bool(rows) and all(row.sign_on == ConsolePolicy.SignOn.AGENT for row in rows.values())
    holds.sign_on = ConsolePolicy.SignOn.AGENT if signs_on else ConsolePolicy.SignOn.NONE
    return holds


def _pool() -> str:
    return kind_of(VirtualMachine).parents["pool"]


def only_by_vnc(policy: ConsolePolicy, vm: VirtualMachine) -> bool:
    """Whether VNC in the browser alone can keep what the policy says.

    The gateway does not look into what SPICE clients and the guest's agent say to each other: where text or files are
    limited, QEMU must have been told at the machine's start to let none pass. Nor does the gateway meter SPICE; and
    recordings are of VNC.
    """
    has = present(vm) or ScreenParts()
    text = has.clipboard and not (policy.paste and policy.copy)
    return policy.record or bool(policy.speed) or text or (has.files and not policy.files)


def screen_parts(vm: VirtualMachine) -> ScreenParts:
    """What the machine's SPICE screen has by its policy; where that lets text pass in one direction, none at all."""
    policy = policy_of(vm)
    return ScreenParts(
        usb=USB_PORTS if policy.usb else 0,
        smartcard=policy.smartcard,
        clipboard=policy.paste and policy.copy,
        files=policy.files,
    )


def _of_machine_and_pool() -> "QuerySet[ConsolePolicy]":
    pool = VirtualMachine.objects.filter(pk=Given("vm")).order_by().values(_pool())
    own, pools = Q(object_kind="vm", object_id=Given("vm")), Q(object_kind="pool", object_id__in=pool)
    return ConsolePolicy.objects.filter(own | pools).order_by()


_HOLDING = Statement(_of_machine_and_pool)


def forget_with(kind: str, model: str) -> None:
    """A policy goes with its object: the reference is by kind and id, which no database follows."""

    def forget(instance: Any, **kwargs: Any) -> None:
        ConsolePolicy.objects.filter(object_kind=kind, object_id=instance.pk).delete()

    post_delete.connect(forget, sender=model, weak=False, dispatch_uid=f"console-policy.forget.{kind}")


def clipboard_told(policy: ConsolePolicy) -> str:
    """Which way text may not go, as a sentence; empty where it may go both."""
    sentences = {
        ConsolePolicy.Clipboard.IN: _("Text can be pasted into this desktop, not copied out of it."),
        ConsolePolicy.Clipboard.OUT: _("Text can be copied out of this desktop, not pasted into it."),
        ConsolePolicy.Clipboard.NONE: _("No text can be pasted into this desktop or copied out of it."),
    }
    return sentences.get(ConsolePolicy.Clipboard(policy.clipboard), "")


def told(policy: ConsolePolicy) -> list[str]:
    """What the policy takes away or does, as sentences for who sits at the screen; nothing for what is usual."""
    sentences = [_("This session is recorded.") if policy.record else "", clipboard_told(policy)]
    if not policy.files:
        sentences.append(_("Files cannot be transferred."))
    if not policy.usb:
        sentences.append(_("USB devices cannot be connected."))
    if policy.smartcard:
        sentences.append(_("Smart cards of your own computer can be used with Remote Viewer."))
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
    if policy.guests:
        sentences.append(_("Links to this screen may be made for people without an account."))
    if policy.sign_on == ConsolePolicy.SignOn.AGENT:
        sentences.append(_("You are signed on in the desktop when you open it."))
    if policy.speed:
        sentences.append(_("The picture takes at most %(speed)d KiB a second.") % {"speed": policy.speed})
    return [sentence for sentence in sentences if sentence]
