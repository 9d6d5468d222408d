"""Find a help, a share or a message by its id, for whom it concerns; others are told that there is none."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.access.require import own, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt.models import VirtualMachine

from .models import Help, Message, Share


def helps(actor: Actor) -> QuerySet[Help]:
    """Those one asked for or was asked for, and those at machines one may edit."""
    mine = own(actor, Q(helper=actor.user_id) | Q(asked_of=actor.user_id))
    rows = Help.objects.select_related("vm", "helper", "asked_of")
    return rows.filter(mine | Q(vm__in=_edited(actor)))


def shares(actor: Actor) -> QuerySet[Share]:
    """One's own, those one has opened, and those of machines one may edit."""
    mine = own(actor, Q(owner=actor.user_id) | Q(guests=actor.user_id))
    return Share.objects.select_related("vm", "owner").filter(mine | Q(vm__in=_edited(actor))).distinct()


def messages(actor: Actor) -> QuerySet[Message]:
    """Those written to one, and those to people at machines one may edit."""
    mine = own(actor, Q(user=actor.user_id))
    return Message.objects.select_related("vm", "user").filter(mine | Q(vm__in=_edited(actor)))


def found(rows: QuerySet[Any], pk: Any) -> Any:
    """The row of that id; raises Missing."""
    try:
        return rows.get(pk=pk)
    except (rows.model.DoesNotExist, ValueError, TypeError, ValidationError) as error:
        raise Missing(N_("There is no such object."), fix=N_("Go back; it may be over, or is not yours.")) from error


def _edited(actor: Actor) -> QuerySet[VirtualMachine]:
    return visible_to(actor, VirtualMachine, "vm.edit")
