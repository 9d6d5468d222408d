"""What every page's template knows: the layout to extend, the navigation, the languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor


@dataclass(frozen=True, slots=True)
class Item:
    label: str | Promise
    url: str
    icon: str
    key: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    label: str | Promise
    items: Sequence[Item]


# (label, url name, icon, the verb that makes it worth showing)
_SECTIONS = (
    (
        gettext_lazy("Desktops"),
        (
            (gettext_lazy("Overview"), "dashboard", "layout-dashboard", ""),
            (gettext_lazy("Machines"), "vms", "server-2", "vm.view"),
            (gettext_lazy("Pools"), "pools", "stack-2", "pool.view"),
            (gettext_lazy("Meta-pools"), "meta-pools", "stack-2", "meta-pool.view"),
            (gettext_lazy("Sessions"), "sessions", "plug-connected", "vm.edit"),
            (gettext_lazy("Templates"), "templates", "template", "template.view"),
            (gettext_lazy("Instance types"), "instance-types", "adjustments", "vm.create"),
        ),
    ),
    (
        gettext_lazy("Infrastructure"),
        (
            (gettext_lazy("Clusters"), "clusters", "stack-2", "cluster.view"),
            (gettext_lazy("Hosts"), "hosts", "server", "host.view"),
            (gettext_lazy("Physical PCs"), "physical-pcs", "device-desktop", "host.view"),
            (gettext_lazy("Storage"), "storage", "database", "storage.view"),
            (gettext_lazy("Images"), "images", "template", "image.view"),
            (gettext_lazy("Servers for images"), "image-sources", "world", "system.view"),
            (gettext_lazy("Disks of no machine"), "floating-disks", "device-sd-card", "disk.view"),
            (gettext_lazy("Networks"), "networks", "network", "network.view"),
            (gettext_lazy("Backups"), "backups", "history", "backup.view"),
        ),
    ),
    (
        gettext_lazy("People"),
        (
            (gettext_lazy("Users"), "users", "user", "user.view"),
            (gettext_lazy("Groups"), "groups", "users", "group.view"),
            (gettext_lazy("Roles"), "roles", "key", "system.view"),
            (gettext_lazy("Permissions"), "permissions-system", "lock", "system.view"),
            (gettext_lazy("Quotas"), "quotas", "activity", "quota.view"),
            (gettext_lazy("Directories"), "directories", "world", "directory.view"),
        ),
    ),
    (
        gettext_lazy("Records"),
        (
            (gettext_lazy("Jobs"), "jobs", "list-check", "job.view"),
            (gettext_lazy("Events"), "events", "history", "event.view"),
            (gettext_lazy("Notifications"), "subscriptions", "activity", "event.view"),
            (gettext_lazy("Recordings"), "recordings", "player-play", "recording.view"),
        ),
    ),
)
MANAGING = (
    "vm.edit", "vm.create", "pool.manage", "cluster.view", "host.view", "template.view", "storage.view", "network.view",
    "job.view", "meta-pool.manage",
    "event.view", "system.view",
    "user.view", "group.view", "quota.view", "vm.manage", "recording.view",
)  # fmt: skip

AT_THE_SCREEN = ("console", "serial", "ways", "connect", "update", "release")


def holds(actor: Actor, verb: str) -> bool:
    """Whether any grant, on whatever object, has the verb: worth a menu entry; the page itself filters."""
    return bool(actor.held(verb))


def manages(actor: Actor) -> bool:
    """Whether the actor has any right beyond using desktops."""
    return any(holds(actor, verb) for verb in MANAGING)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Lazy where it asks the database, so that pages without a frame ask nothing."""
    htmx = request.headers.get("HX-Request") == "true"
    return {
        "layout": "fragment.html" if htmx else "base.html",
        "languages": settings.LANGUAGES,
        "main_nav": SimpleLazyObject(lambda: _main(request)),
        "side_nav": SimpleLazyObject(lambda: _side(request)),
    }


def _of_machine(path: str) -> bool:
    """Whether it is a page about managing one machine: neither its own page nor one of its screens."""
    parts = path.strip("/").split("/")
    return parts[0] == "vms" and len(parts) > 2 and parts[2] not in AT_THE_SCREEN


def _main(request: HttpRequest) -> list[Item]:
    actor: Actor | None = getattr(request, "actor", None)
    able = bool(actor and actor.user and manages(actor))
    managing = request.path.startswith(reverse("portal:dashboard")) or (able and _of_machine(request.path))
    activity = reverse("portal:activity")
    here = request.path == activity
    items = [
        Item(_("Desktops"), reverse("portal:home"), "device-desktop", "d", not (managing or here)),
        Item(_("Activity"), activity, "history", "a", here),
    ]
    if able:
        items.append(Item(_("Manage"), reverse("portal:dashboard"), "settings", "m", managing))
    return items


def _side(request: HttpRequest) -> list[Group]:
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None or actor.user is None:
        return []
    groups = [
        Group(
            label,
            [
                _item(request, title, name, icon)
                for title, name, icon, verb in entries
                if not verb or holds(actor, verb)
            ],
        )
        for label, entries in _SECTIONS
    ]
    if actor.user.is_staff:
        groups[-1].items.append(Item(_("Administration"), reverse("admin:index"), "shield"))  # type: ignore[attr-defined]
    return [group for group in groups if group.items]


def _item(request: HttpRequest, label: Promise, name: str, icon: str) -> Item:
    url = reverse(f"portal:{name}")
    current = request.path == url or (name != "dashboard" and request.path.startswith(url))
    return Item(label, url, icon, current=current or (name == "vms" and _of_machine(request.path)))
