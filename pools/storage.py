"""Where the disk of a new desktop goes when its pool leaves that open: to the storage with the most free space."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from broker.core.errors import NoCapacity, Reason
from broker.core.text import gettext_noop as N_
from broker.virt.models import Cluster, StorageDomain, TemplateVersion
from broker.virt.states import STORAGE, HostState

GIB = 1024**3
SHARE = 0.25  # of the template's size: what a new overlay is counted with until its storage is observed again
LEAST = 1 * GIB


@dataclass(frozen=True, slots=True)
class Place:
    """One storage as the choice sees it, in bytes. `host`: the only one that sees it.

    `usable`: it and that host are in service and answer.
    """

    id: UUID
    name: str
    free: int
    host: UUID | None = None
    usable: bool = True


def choose(places: Iterable[Place], *, bound_to: UUID | None, need: int) -> Place:
    """The one with the most free space of those that a desktop can be on; of equals the first by name. Pure.

    `bound_to`: the host that alone sees the template's image. Raises NoCapacity, naming each storage and its reason.
    """
    fit, refused = [], []
    for place in sorted(places, key=lambda place: (place.name, place.id)):
        if bound_to and place.host and place.host != bound_to:
            refused.append(_reason(place, "storage.template", N_("no host sees both it and the template")))
        elif not place.usable:
            refused.append(_reason(place, "storage.host", N_("it or its host is in maintenance or does not answer")))
        elif place.free < need:
            text = N_("too little free space (%(free)s GiB, %(need)s GiB needed)")
            free, wanted = (f"{amount / GIB:.1f}" for amount in (place.free, need))
            refused.append(
                _reason(place, "storage.space", text, words=N_("too little free space"), free=free, need=wanted)
            )
        else:
            fit.append(place)
    if not fit:
        raise NoCapacity(
            N_("No storage can take a further desktop."),
            rule="pool.storage",
            fix=N_("Make room on a storage domain of the cluster, or add one that sees the template."),
            reasons=refused,
        )
    return max(fit, key=lambda place: place.free)


def _reason(place: Place, rule: str, text: str, *, words: str = "", **params: str) -> Reason:
    return Reason(place.name, rule, text, kind="storage", id=place.id, words=words or text, **params)


class Chooser:
    """Chooses for several desktops in a row, each counted on the storage it was given. One query."""

    def __init__(self, cluster: Cluster, version: TemplateVersion):
        files = StorageDomain.objects.filter(cluster=cluster).exclude(kind=StorageDomain.Kind.ISCSI)
        self._rows = {row.pk: row for row in files.select_related("host")}
        self._places = {row.pk: _place(row) for row in self._rows.values()}
        self._bound_to = version.storage.host_id
        self._need = max(int(version.size_bytes * SHARE), LEAST)

    def next(self) -> StorageDomain:
        """Raises NoCapacity."""
        place = choose(self._places.values(), bound_to=self._bound_to, need=self._need)
        self._places[place.id] = replace(place, free=place.free - self._need)
        return self._rows[place.id]


def _place(row: StorageDomain) -> Place:
    hosted = row.host is None or (row.host.state == HostState.ACTIVE and not row.host.error)
    usable = hosted and STORAGE.is_(row.state, "usable") and not row.error
    return Place(row.pk, row.name, row.available_bytes, row.host_id, usable)
