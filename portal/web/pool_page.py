"""Pools and their desktops as the management pages show them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Pool
from pools.updates import Waiting, waiting
from portal.why import told

from . import words
from .parts import Action, Figure, Notice, Pair, jobs_of
from .updates import rebuild_action


def counted(pools: QuerySet[Pool]) -> QuerySet[Pool]:
    """With how many desktops are in which state."""
    running = Q(desktops__state="free", desktops__vm__power_state="running")
    asleep = Q(desktops__state="free", desktops__vm__power_state="suspended")
    return pools.annotate(
        assigned=Count("desktops", filter=Q(desktops__state="assigned")),
        free=Count("desktops", filter=Q(desktops__state="free")),
        waiting=Count("desktops", filter=running),
        asleep=Count("desktops", filter=asleep),
        broken=Count("desktops", filter=Q(desktops__state="broken")),
        present=Count("desktops"),
    )


def pool_row(pool: Any) -> dict[str, Any]:
    """`pool` as `counted` gives it."""
    return {
        "id": pool.pk,
        "url": reverse("portal:pool", args=[pool.pk]),
        "title": str(pool),
        "name": pool.name,
        "mark": _mark(pool),
        "kind": _("automatic") if pool.kind == "automatic" else _("manual"),
        "template": pool.template.name if pool.template else _("Physical PCs"),
        "assigned": pool.assigned,
        "size": pool.size,
        "free": pool.free,
        "broken": pool.broken,
    }


def _mark(pool: Pool) -> words.Mark:
    if pool.state == "active" and pool.alert:
        return words.Mark(_("Needs help"), "warn")
    return words.POOL.get(pool.state, words.UNKNOWN)


def figures(pool: Any) -> list[Figure]:
    return [
        Figure(
            _("Desktops"),
            pool.present,
            _("put in one by one") if pool.is_physical else _("of %(size)d wanted") % {"size": pool.size},
        ),
        Figure(_("In use"), pool.assigned, _("given to somebody")),
        Figure(_("Waiting"), pool.waiting, _("free and switched on") if pool.is_physical else _waiting(pool)),
        Figure(_("Broken"), pool.broken, _("not handed out")),
    ]


def _waiting(pool: Any) -> str:
    target = pool.target or {}
    text = _("of %(count)d to be kept running") % {"count": target.get("prestarted", pool.prestarted)}
    wanted = target.get("suspended", pool.suspended)
    if not wanted and not pool.asleep:
        return text
    more = _("%(count)d of %(wanted)d suspended") % {"count": pool.asleep, "wanted": wanted}
    return f"{text}; {more}"


def notices(actor: Actor, pool: Pool) -> list[Notice]:
    cause, fix, why = told(actor, pool.alert)
    return [Notice(cause, fix, why=why)] if cause else []


def settings_of(pool: Pool) -> list[Pair]:
    if pool.template is None:
        return [
            Pair(_("Desktops"), _("Physical PCs"), url=reverse("portal:physical-pcs")),
            Pair(_("Cluster"), pool.cluster.name),
            Pair(_("Protection"), _("on") if pool.protected else _("off")),
            Pair(_("Most for one user"), str(pool.max_per_user)),
        ]
    template = reverse("portal:template", args=[pool.template_id])
    return [
        Pair(_("Template"), pool.template.name, url=template),
        Pair(_("Version"), str(pool.version.number) if pool.version else _("always the newest")),
        Pair(_("Cluster"), pool.cluster.name),
        Pair(_("Storage"), pool.storage.name if pool.storage else _("automatic")),
        Pair(_("Network"), pool.network.name if pool.network else _("none")),
        Pair(_("After use"), _("kept as it is") if pool.stateful else _("reset")),
        Pair(_("Size"), str(pool.size)),
        Pair(_("Kept running"), str(pool.prestarted)),
        Pair(_("Kept suspended"), str(pool.suspended)),
        Pair(_("Forecast"), _("on") if pool.forecast else _("off")),
        Pair(_("Protection"), _("on") if pool.protected else _("off")),
        Pair(_("Most for one user"), str(pool.max_per_user)),
        Pair(_("Names"), pool.name_pattern or "–"),
    ]


def desktop_rows(actor: Actor, desktops: Sequence[Desktop], *, manageable: bool) -> list[dict[str, Any]]:
    """Rows for one page of desktops, in three queries whatever their number."""
    ids = [desktop.pk for desktop in desktops]
    jobs = jobs_of("vm", ids)
    updates = waiting(desktops) if manageable else {}
    seen = set(visible_to(actor, VirtualMachine.objects.filter(pk__in=ids)).values_list("pk", flat=True))
    return [
        {
            "id": desktop.pk,
            "url": reverse("portal:vm", args=[desktop.pk]) if desktop.pk in seen else "",
            "title": desktop.vm.name,
            "state": words.DESKTOP.get(desktop.state, words.UNKNOWN),
            "mark": words.machine_mark(desktop.vm, jobs.get(desktop.pk)),
            "holder": str(desktop.holder) if desktop.holder else "",
            "since": desktop.held_since,
            "actions": _actions(desktop, updates.get(desktop.pk)) if manageable else [],
        }
        for desktop in desktops
    ]


def _actions(desktop: Desktop, update: Waiting | None) -> list[Action]:
    rebuild = [rebuild_action(desktop, update.number)] if update else []
    if desktop.state == "assigned":
        text = _("%(user)s loses the desktop; open screens end, and it is reset if the pool says so.") % {
            "user": desktop.holder
        }
        return [*rebuild, Action(_("Take back"), _deed(desktop, "release"), "logout", danger=True, confirm=text)]
    if desktop.state not in ("free", "broken"):
        return []
    if desktop.pool.is_physical:
        leaves = _("The PC leaves the pool. Nothing happens at the PC itself.")
        return [Action(_("Remove"), _deed(desktop, "retire"), "trash", danger=True, confirm=leaves)]
    erased = _("Everything written since it was made is removed.")
    removed = _("The desktop and its disks are removed; the pool makes another.")
    actions = [
        *rebuild,
        Action(_("Reset"), _deed(desktop, "reset"), "rotate-clockwise", confirm=erased),
        Action(_("Remove"), _deed(desktop, "retire"), "trash", danger=True, confirm=removed),
    ]
    if desktop.state == "broken":
        actions.insert(0, Action(_("Use it as it is"), _deed(desktop, "mend"), "check"))
    return actions


def _deed(desktop: Desktop, verb: str) -> str:
    return reverse("portal:desktop-deed", args=[desktop.pk, verb])
