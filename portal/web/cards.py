"""My desktops: the machines a user has, and the pools the user may take one from, as cards."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.connections.models import Session
from broker.connections.vv import refusals
from broker.core import clock
from broker.jobs.models import Job
from broker.virt.models import Sample, TemplateVersion, VirtualMachine
from pools.models import Desktop, MetaPool, Pool
from pools.queue import places_of
from pools.session_sentence import rules_of, sentence
from pools.updates import waiting as updates_waiting

from . import meta_cards, words
from .booking_cards import Booked, booked_by, calendar_action
from .machines import (
    connect_to,
    for_lists,
    os_name,
    placeholder,
    power_actions,
    progress_on,
    release_action,
    thumbnail_of,
)
from .parts import Action, Connect, Fact, Progress, jobs_of
from .updates import Update, update_of
from .waiting import Waiting, closes, opens, waiting_of
from .words import Mark

SPARK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Card:
    """One card; `kind` is "machine" or "pool", `running` what the filter of the page asks for."""

    id: str
    kind: str
    key: UUID
    title: str
    subtitle: str
    mark: Mark
    running: bool
    icon: str
    url: str = ""
    thumbnail: str = ""
    dim: bool = False
    note: str = ""
    facts: Sequence[Fact] = ()
    sentence: str = ""
    spark: str = ""
    cpu_percent: int | None = None
    progress: Progress | None = None
    connect: Connect | None = None
    cancel: Action | None = None
    beat: str = ""
    update: Update | None = None
    actions: Sequence[Action] = ()


def cards_for(actor: Actor) -> list[Card]:
    """All cards of a user, desktops first: the same number of queries, however many there are."""
    machines = my_machines(actor)
    cards = sorted(_machine_cards(actor, machines), key=lambda card: (not card.running, card.title.lower()))
    return [*cards, *_meta_cards(actor, machines), *_pool_cards(actor, machines)]


def my_machines(actor: Actor) -> list[VirtualMachine]:
    """Desktops the user holds and machines granted one by one; not what a wide role lets somebody manage."""
    granted = [held.object_id for held in actor.held("vm.use") if held.object_kind == "vm"]
    mine = Q(desktop__holder=actor.user_id) | Q(pk__in=granted)
    return list(for_lists(VirtualMachine.objects.filter(mine)).order_by("name"))


def _machine_cards(actor: Actor, machines: list[VirtualMachine]) -> list[Card]:
    ids = [vm.pk for vm in machines]
    jobs = jobs_of("vm", ids)
    powered = set(visible_to(actor, VirtualMachine.objects.filter(pk__in=ids), "vm.power").values_list("pk", flat=True))
    sparks = _sparks(ids)
    held = [vm.desktop for vm in machines if _is_own(actor, vm)]
    booked = booked_by(actor, [desktop.pool for desktop in held])
    updates = updates_waiting(held)
    refused = refusals(machines)
    watched = set(Session.objects.live().filter(vm_id__in=ids).values_list("vm_id", flat=True))
    return [
        replace(
            _machine_card(actor, vm, jobs.get(vm.pk), vm.pk in powered, sparks.get(vm.pk, ""), vm.pk in watched),
            connect=connect_to(vm, jobs.get(vm.pk), refused.get(vm.pk)),
            **_booking(vm, booked),
            update=update_of(vm.desktop, updates[vm.pk]) if vm.pk in updates and vm.pk not in jobs else None,
        )
        for vm in machines
    ]


def _machine_card(actor: Actor, vm: VirtualMachine, job: Job | None, powered: bool, spark: str, watched: bool) -> Card:
    mark = words.machine_mark(vm, job)
    running = vm.power_state == "running" and vm.state == "ready"
    desktop = getattr(vm, "desktop", None)
    actions: list[Action] = power_actions(vm, job) if powered else []
    if desktop and desktop.holder_id == actor.user_id and desktop.pool.kind == "automatic" and not job:
        actions.append(release_action(vm, stateful=desktop.pool.stateful))
    if desktop and desktop.pool.booked and desktop.holder_id == actor.user_id:
        actions.append(calendar_action(desktop.pool))
    title = str(desktop.pool) if desktop else (vm.title or vm.name)
    system = os_name(vm)
    return Card(
        id=f"vm-{vm.pk}",
        kind="machine",
        key=vm.pk,
        title=title,
        subtitle=vm.name if vm.name != title else (vm.description or system),
        mark=mark,
        running=running,
        icon=placeholder(mark, vm.power_state),
        url=reverse("portal:vm", args=[vm.pk]),
        thumbnail=thumbnail_of(vm),
        dim=vm.power_state == "paused",
        note=_("Screen open") if watched else "",
        facts=[Fact("device-desktop", _("Physical PC"))] if vm.is_physical else _facts(system, vm.vcpus, vm.memory_mib),
        sentence=(closes(desktop.pool) if desktop else "") or _rules(desktop) if running else _last_seen(vm),
        spark=spark if running else "",
        cpu_percent=vm.cpu_percent if running else None,
        progress=progress_on(job),
        actions=actions,
    )


def _booking(vm: VirtualMachine, booked: Booked) -> dict[str, Any]:
    """Until when it is theirs, in place of what happens to it by itself."""
    said = booked.until(getattr(vm, "desktop", None))
    return {"sentence": said} if said else {}


def _is_own(actor: Actor, vm: VirtualMachine) -> bool:
    desktop = getattr(vm, "desktop", None)
    return desktop is not None and desktop.holder_id == actor.user_id


def _rules(desktop: Any) -> str:
    """What happens to it by itself, where its pool has rules."""
    return sentence(desktop.pool) if desktop and rules_of(desktop.pool).steps else ""


def _last_seen(vm: VirtualMachine) -> str:
    if vm.state == "broken":
        return _("Something of it is missing or wrong. Its page says what.")
    if vm.power_state in ("missing", "crashed"):
        return _("Its page says what happened.")
    if vm.power_state == "suspended":
        return _("Goes on where you left it.")
    return ""


def _facts(system: str, vcpus: int, memory_mib: int) -> list[Fact]:
    gib = memory_mib / 1024
    memory = f"{gib:.0f} GiB" if gib >= 1 and gib == int(gib) else f"{gib:.1f} GiB" if gib >= 1 else f"{memory_mib} MiB"
    facts = [Fact(words.os_icon(system), system)] if system else []
    return [*facts, Fact("cpu", _("%(count)d vCPU") % {"count": vcpus}), Fact("database", memory)]


def _facts_of_pool(pool: Pool, version: TemplateVersion | None) -> list[Fact]:
    if pool.template is None:
        return [Fact("device-desktop", _("Physical PC"))]
    return _facts(pool.template.os_name, version.vcpus, version.memory_mib) if version else []


def _sparks(ids: Sequence[UUID]) -> dict[UUID, str]:
    """The last minutes of processor use as points of a 100 × 28 drawing."""
    readings: dict[UUID, list[int]] = defaultdict(list)
    rows = Sample.objects.filter(vm_id__in=ids, at__gte=clock.now() - SPARK).order_by("at")
    for vm_id, percent in rows.values_list("vm_id", "cpu_percent"):
        readings[vm_id].append(min(100, percent or 0))
    return {
        vm_id: " ".join(
            f"{100 * index / (len(values) - 1):.1f},{27 - 0.25 * value:.1f}" for index, value in enumerate(values)
        )
        for vm_id, values in readings.items()
        if len(values) > 1
    }


def _pool_cards(actor: Actor, machines: list[VirtualMachine]) -> list[Card]:
    pools = list(visible_to(actor, Pool.objects.filter(state="active"), "pool.use").select_related("template"))
    held: dict[UUID, int] = defaultdict(int)
    for vm in machines:
        desktop = getattr(vm, "desktop", None)
        if desktop and desktop.holder_id == actor.user_id:
            held[desktop.pool_id] += 1
    pools = [pool for pool in pools if held[pool.pk] < pool.max_per_user]
    counts = {
        row["pool"]: row
        for row in Desktop.objects.filter(pool__in=pools).values("pool").annotate(
            free=Count("pk", filter=Q(state="free", vm__state="ready")),
            ready=Count("pk", filter=Q(state="free", vm__state="ready", vm__power_state="running")),
        )
    }  # fmt: skip
    versions = _versions(pools)
    places = places_of(actor.user, [pool.pk for pool in pools]) if actor.user else {}
    booked = booked_by(actor, pools)
    return [
        _waiting_card(waiting_of(places[pool.pk]), versions.get(pool.template_id))
        if pool.pk in places
        else _with_bookings(
            _pool_card(pool, counts.get(pool.pk, {}), versions.get(pool.template_id), held[pool.pk]), pool, booked
        )
        for pool in pools
    ]


def _with_bookings(card: Card, pool: Pool, booked: Booked) -> Card:
    """The card of a pool that is booked says what is booked instead, and leads to the calendar."""
    if not pool.booked:
        return card
    mark, sentence = booked.says(pool)
    take = reverse("portal:pool-take", args=[pool.pk])
    running = pool.pk in booked.due
    return replace(
        card, mark=mark, running=running, icon="calendar-event", sentence=sentence,
        connect=booked.connect(pool, take), actions=(calendar_action(pool),),
    )  # fmt: skip


def _meta_cards(actor: Actor, machines: list[VirtualMachine]) -> list[Card]:
    metas = meta_cards.meta_pools_of(actor, machines)
    waits = meta_cards.places(actor, metas)
    return [_meta_card(meta, waits.get(meta.pk)) for meta in metas]


def _meta_card(meta: MetaPool, waiting: Waiting | None) -> Card:
    mark, sentence, ready = meta_cards.state_of(meta)
    card = Card(
        id=f"meta-pool-{meta.pk}",
        kind="pool",
        key=meta.pk,
        title=str(meta),
        subtitle=meta.description.strip().partition("\n")[0] or _("A desktop of your own, while you need it"),
        mark=mark,
        running=ready,
        icon="stack-2",
        sentence=sentence,
        connect=meta_cards.connect_to(meta, primary=ready),
    )
    if waiting is None:
        return card
    return replace(
        card,
        mark=Mark(_("You wait"), "warn"),
        running=False,
        icon="clock",
        sentence=f"{waiting.sentence}. {waiting.estimate}",
        connect=_place_of(reverse("portal:meta-pool-wait", args=[meta.pk])),
        beat=waiting.beat_url,
        actions=(waiting.leave,),
    )


def _place_of(address: str) -> Connect:
    return Connect(_("Show my place"), address, icon="clock", primary=False)


def _versions(pools: Sequence[Pool]) -> dict[UUID | None, TemplateVersion]:
    """The newest ready version of each pool's template."""
    rows = TemplateVersion.objects.filter(template__in={pool.template_id for pool in pools}, state="ready")
    newest: dict[UUID | None, TemplateVersion] = {}
    for version in rows.order_by("-number"):
        newest.setdefault(version.template_id, version)
    return newest


def _waiting_card(waiting: Waiting, version: TemplateVersion | None) -> Card:
    """The card of a pool in whose queue the user stands."""
    pool = waiting.pool
    return Card(
        id=f"pool-{pool.pk}",
        kind="pool",
        key=pool.pk,
        title=str(pool),
        subtitle=pool.description.strip().partition("\n")[0] or _("A desktop of your own, while you need it"),
        mark=Mark(_("You wait"), "warn"),
        running=False,
        icon="clock",
        facts=_facts_of_pool(pool, version),
        sentence=f"{waiting.sentence}. {waiting.estimate}",
        connect=_place_of(reverse("portal:pool-wait", args=[pool.pk])),
        beat=waiting.beat_url,
        actions=(waiting.leave,),
    )


def _pool_card(pool: Pool, counts: Mapping[str, Any], version: TemplateVersion | None, held: int) -> Card:
    free, ready = counts.get("free", 0), counts.get("ready", 0)
    if closed := opens(pool):
        mark, sentence = Mark(_("Closed"), "idle"), closed
    elif ready:
        mark, sentence = Mark(_("Ready"), "good"), _("A desktop is running and waiting for you.")
    elif free:
        mark, sentence = Mark(_("Available"), "idle"), _("A desktop starts when you connect; that takes a moment.")
    elif pool.alert:
        mark, sentence = (
            Mark(_("Not available"), "bad"),
            _("No desktop can be made at present. Your administrator sees why."),
        )
    else:
        mark, sentence = (
            Mark(_("All in use"), "warn"),
            _("All desktops are in use. Connect, and you get the next one that is free."),
        )
    if held:
        sentence = ngettext(
            "You have %(count)d desktop of it already.", "You have %(count)d desktops of it already.", held
        ) % {"count": held}
    take = reverse("portal:pool-take", args=[pool.pk])
    return Card(
        id=f"pool-{pool.pk}",
        kind="pool",
        key=pool.pk,
        title=str(pool),
        subtitle=pool.description.strip().partition("\n")[0] or _("A desktop of your own, while you need it"),
        mark=mark,
        running=bool(ready),
        icon="stack-2",
        facts=_facts_of_pool(pool, version),
        sentence=sentence,
        connect=Connect(_("Connect"), take, primary=bool(ready), post=True),
    )
