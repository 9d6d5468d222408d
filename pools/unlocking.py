"""What the session rules locked when its user left is unlocked when the same user comes back and is signed on.

A lock because nothing was typed stays: the screen may stand open where anybody passes by.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from broker.connections.signing_on import Locks, locks

from .models import Sitting

_WHEN_LEFT = ("leave", "then")


def held(vm_id: UUID, user_id: UUID) -> bool:
    """Whether the rules locked the desktop of this holder, and that was carried out and not lifted since."""
    sitting = _sittings(vm_id, user_id).first()
    return sitting is not None and any(_locked(sitting, step) for step in _WHEN_LEFT)


@transaction.atomic
def lifted(vm_id: UUID, user_id: UUID) -> None:
    """Write down that it is locked no more."""
    sitting = _sittings(vm_id, user_id).select_for_update(of=("self",)).first()
    if sitting is None:
        return
    for step in _WHEN_LEFT:
        if _locked(sitting, step):
            sitting.acts[step]["lifted"] = True
    Sitting.objects.filter(pk=vm_id).update(acts=sitting.acts)


def _sittings(vm_id: UUID, user_id: UUID) -> "QuerySet[Sitting]":
    return Sitting.objects.filter(pk=vm_id, desktop__holder=user_id, held_since=F("desktop__held_since"))


def _locked(sitting: Sitting, step: str) -> bool:
    act = sitting.acts.get(step, {})
    return act.get("order") == "lock" and act.get("outcome") == "done" and "lifted" not in act


locks(Locks(held, lifted))
