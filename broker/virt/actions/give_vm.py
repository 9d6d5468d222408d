"""Make a machine somebody else's: they get an owner's rights on it, and pay for it by their quota."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.handing_out import ensure_may_hand_out
from broker.access.models import Grant, Role
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import quotas
from broker.virt.models import VirtualMachine

OWNER_ROLE = "vm-manager"


@transaction.atomic
def give_vm(*, actor: Actor, vm: VirtualMachine, owner: Any = None) -> VirtualMachine:
    """`owner`: a user, or None for nobody. The owner before loses the owner's role on it.

    Raises Missing, Denied, Conflict (a pool's desktop belongs to the pool) or OverQuota.
    """
    require(actor, "vm.manage", vm)
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    if getattr(vm, "desktop", None) is not None:
        raise Conflict(
            N_("%(name)s is a desktop of a pool, which owns it."), rule="vm.owner",
            fix=N_("Assign the desktop to somebody instead."), name=vm.name,
        )  # fmt: skip
    if vm.owner_id == (owner.pk if owner else None):
        return vm
    role = Role.objects.get(name=OWNER_ROLE)
    ensure_may_hand_out(actor, role, vm)
    if owner is not None:
        quotas.claim_gift(actor, vm, owner.pk)
    on_it = Grant.objects.filter(role=role, object_kind="vm", object_id=vm.pk)
    on_it.filter(user=vm.owner_id).delete()
    if owner is not None and not on_it.filter(user=owner).exists():
        Grant.objects.create(role=role, user=owner, object_kind="vm", object_id=vm.pk)
    VirtualMachine.objects.filter(pk=vm.pk).update(owner=owner)
    vm.owner = owner
    record(
        "vm.given", actor=actor, subject=vm, message=N_("%(name)s belongs to %(owner)s now"), name=vm.name,
        owner=str(owner) if owner else "–",
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    return vm
