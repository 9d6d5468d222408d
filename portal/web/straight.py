"""Where somebody lands who has just signed in."""

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.virt.models import VirtualMachine
from pools.actions.allocate import allocate
from pools.models import Pool

from .cards import cards_for
from .parts import error_sentences


def straight_way(request: HttpRequest, actor: Actor) -> str:
    """The screen of the one desktop of somebody who has exactly one and manages nothing; else the list.

    The one may be a pool: then a desktop is taken. When that fails, the list says why.
    """
    from portal.context import manages

    home = reverse("portal:home")
    if manages(actor):
        return home
    cards = cards_for(actor)
    if len(cards) != 1 or not cards[0].connect:
        return home
    card = cards[0]
    if card.kind == "machine":
        vm = VirtualMachine.objects.get(pk=card.key)
        return reverse("portal:console", args=[vm.pk]) if vm.state == "ready" else home
    try:
        allocation = allocate(actor=actor, pool=Pool.objects.get(pk=card.key))
    except BerthError as error:
        messages.error(request, " ".join(error_sentences(error)).strip())
        return home
    return reverse("portal:console", args=[allocation.desktop.pk])
