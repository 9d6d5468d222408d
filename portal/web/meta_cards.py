"""The cards of meta-pools: one over several pools, saying what the best of them could give now."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count, Prefetch, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.models import VirtualMachine
from pools.hours import opening_of
from pools.meta_taking import meta_places_of
from pools.models import MetaMember, MetaPool

from .parts import Connect
from .waiting import Waiting, waiting_of
from .words import Mark


def meta_pools_of(actor: Actor, machines: Sequence[VirtualMachine]) -> list[MetaPool]:
    """Those of which the user may take one more: two queries, none without any right on one."""
    members = MetaMember.objects.select_related("pool").annotate(
        free=Count("pool__desktops", filter=_FREE),
        ready=Count("pool__desktops", filter=_FREE & Q(pool__desktops__vm__power_state="running")),
    )
    rows = visible_to(actor, MetaPool, "meta-pool.use").prefetch_related(Prefetch("members", members))
    held: dict[UUID, int] = defaultdict(int)
    for vm in machines:
        desktop = getattr(vm, "desktop", None)
        if desktop and desktop.holder_id == actor.user_id:
            held[desktop.pool_id] += 1
    return [meta for meta in rows if sum(held[one.pool_id] for one in meta.members.all()) < meta.max_per_user]


_FREE = Q(pool__desktops__state="free", pool__desktops__vm__state="ready")


def places(actor: Actor, metas: Sequence[MetaPool]) -> dict[UUID, Waiting]:
    """Where the user waits, by meta-pool."""
    if actor.user is None or not metas:
        return {}
    found = meta_places_of(actor.user, [meta.pk for meta in metas])
    return {meta.pk: waiting_of(found[meta.pk], meta) for meta in metas if meta.pk in found}


def state_of(meta: MetaPool) -> tuple[Mark, str, bool]:
    """One word, a sentence, and whether a desktop runs and waits, over all pools that are open."""
    members = list(meta.members.all())
    usable = [one for one in members if one.pool.state == "active" and opening_of(one.pool).open]
    if usable and all(one.pool.booked for one in usable):
        return Mark(_("By booking"), "idle"), _("Its desktops are booked for a time."), False
    # What is free of a pool that is booked is not for whoever comes.
    usable = [one for one in usable if not one.pool.booked]
    if any(getattr(one, "ready", 0) for one in usable):
        return Mark(_("Ready"), "good"), _("A desktop is running and waiting for you."), True
    if any(getattr(one, "free", 0) for one in usable):
        return Mark(_("Available"), "idle"), _("A desktop starts when you connect; that takes a moment."), False
    if usable:
        sentence = _("All desktops are in use. Connect, and you get the next one that is free.")
        return Mark(_("All in use"), "warn"), sentence, False
    if members:
        return Mark(_("Closed"), "idle"), _("All its pools are closed at this time."), False
    return Mark(_("Not available"), "bad"), _("It has no pools yet."), False


def connect_to(meta: MetaPool, *, primary: bool) -> Connect:
    return Connect(_("Connect"), reverse("portal:meta-pool-take", args=[meta.pk]), primary=primary, post=True)
