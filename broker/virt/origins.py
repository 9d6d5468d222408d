"""What a machine is made from: a template's version, an image of the library, or nothing but a blank disk."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.sql import Given, Statement

from . import names
from .disk_rules import checked_size
from .models import Cluster, Host, Image, Network, StorageDomain, TemplateVersion, VirtualMachine
from .states import IMAGE, VERSION

MACHINES = ("q35", "pc")
VCPUS, MEMORY_MIB = 1, 1024


@dataclasses.dataclass(frozen=True)
class Origin:
    """`size_bytes`: of the first disk; `machine` to `options`: the hardware where nobody chose it."""

    cluster: Cluster
    storage: StorageDomain
    size_bytes: int
    vcpus: int = VCPUS
    memory_mib: int = MEMORY_MIB
    machine: str = "q35"
    graphics: tuple[str, ...] = ("vnc",)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    version: TemplateVersion | None = None
    image: Image | None = None
    cd: Image | None = None

    def locked(self) -> None:
        """Keep what it is made from, against a deletion that looks for machines under the same locks."""
        if self.version is not None:
            rows = _LOCKED_STATE.rows(version=self.version.pk)
            if not rows:
                raise TemplateVersion.DoesNotExist(f"There is no version {self.version.pk}")
            ((state,),) = rows
            if not VERSION.is_(state, "usable"):
                raise Conflict(
                    N_("%(version)s is %(state)s."),
                    rule="version.usable",
                    fix=N_("Wait until it is ready, or choose another version."),
                    version=str(self.version),
                    state=state,
                )
        if images := [one.pk for one in (self.image, self.cd) if one]:
            for image in Image.objects.select_for_update().filter(pk__in=images):
                require_ready(image)

    def require_one_host(self, *, network: Network | None) -> None:
        """Raise Invalid unless all of it is of one cluster, and one host can see it all."""
        for field, thing in (("storage", self.storage), ("network", network)):
            if thing is not None and thing.cluster_id != self.cluster.pk:
                raise Invalid(
                    N_("%(name)s belongs to another cluster."), field=field,
                    fix=N_("Choose one of the template's cluster."), name=thing.name,
                )  # fmt: skip
        sources = [one.storage for one in (self.version, self.image, self.cd) if one is not None]
        if any(source.cluster_id != self.cluster.pk for source in sources):
            raise Invalid(
                N_("What it is made from lies in several clusters."), field="storage",
                fix=N_("Choose an image and a CD of one cluster."),
            )  # fmt: skip
        if len({place.host_id for place in (self.storage, *sources) if place.host_id}) > 1:
            raise Invalid(
                N_("No host sees both %(storage)s and the template's image."), field="storage",
                fix=N_("Choose storage on the host of the template's image, or shared storage."),
                storage=self.storage.name,
            )  # fmt: skip


_LOCKED_STATE = Statement(
    lambda: TemplateVersion.objects.select_for_update().filter(pk=Given("version")).order_by().values_list("state")
)


def origin_of(
    actor: Actor,
    *,
    version: TemplateVersion | None,
    image: Image | None,
    cd: Image | None,
    disk_bytes: int | None,
    storage: StorageDomain | None,
    machine: str | None,
) -> Origin:
    """What these say together, and that `actor` may use it. Raises Missing, Denied and Invalid."""
    if version is not None and (image is not None or disk_bytes is not None or machine is not None):
        raise Invalid(
            N_("A machine is made from a template or from something else, not both."), field="version",
            fix=N_("Leave out the image, the disk's size and the type, or the template."),
        )  # fmt: skip
    if version is not None:
        return _from_version(actor, version, storage, cd)
    storage = storage or (image.storage if image else None)
    if storage is None:
        raise Invalid(N_("Say on which storage."), field="storage", fix=N_("Choose where its disk is to be."))
    require(actor, "vm.create", storage.cluster)
    require(actor, "storage.view", storage)
    for field, one, kind in (("image", image, "disk"), ("cd", cd, "iso")):
        _require_image(actor, field, one, kind)
    if machine is not None and machine not in MACHINES:
        raise Invalid(
            N_("This is not offered."), field="machine", fix=N_("Use one of: %(known)s."), known=", ".join(MACHINES)
        )
    if image is None and disk_bytes is None:
        raise Invalid(
            N_("Say from what it is made."), field="version",
            fix=N_("Choose a template, an image, or the size of a blank disk."),
        )  # fmt: skip
    size = image.capacity_bytes if image else 0
    if disk_bytes is not None:
        size = max(size, checked_size(disk_bytes))
    proposal = image.proposal if image else {}
    return Origin(
        cluster=storage.cluster, storage=storage, size_bytes=size, machine=machine or "q35", image=image, cd=cd,
        vcpus=proposal.get("vcpus", VCPUS), memory_mib=proposal.get("memory_mib", MEMORY_MIB),
        options={"firmware": proposal["firmware"]} if "firmware" in proposal and machine != "pc" else {},
    )  # fmt: skip


def require_ready(image: Image) -> None:
    if not IMAGE.is_(image.state, "usable"):
        raise Conflict(
            N_("The image %(name)s is not ready."), rule="image.usable",
            fix=N_("Wait until it is, or choose another one."), name=image.name,
        )  # fmt: skip


def require_fitting(vm: VirtualMachine, cd: Image, *, host: Host | None = None) -> Image:
    """The CD, kept against a deletion; raises Invalid for one that its host (or `host`) does not see."""
    cd = Image.objects.select_for_update(of=("self",)).select_related("storage").get(pk=cd.pk)
    storage, there = cd.storage, host.pk if host else vm.host_id
    if cd.kind != "iso" or storage.cluster_id != vm.cluster_id or storage.host_id not in (None, there):
        raise Invalid(
            N_("%(name)s does not fit into the drive of this machine."), field="cd",
            fix=N_("Choose a CD on a storage that the machine's host sees."), name=cd.name,
        )  # fmt: skip
    require_ready(cd)
    return cd


def _from_version(actor: Actor, version: TemplateVersion, storage: StorageDomain | None, cd: Image | None) -> Origin:
    storage = storage or version.storage
    require(actor, "vm.create", version.template.cluster)
    require(actor, "template.use", version.template)
    require(actor, "storage.view", storage)
    _require_image(actor, "cd", cd, "iso")
    return Origin(
        cluster=version.template.cluster, storage=storage, size_bytes=version.size_bytes, vcpus=version.vcpus,
        memory_mib=version.memory_mib, machine=version.machine, graphics=tuple(version.graphics or ["vnc"]),
        options=version.options, version=version, cd=cd,
    )  # fmt: skip


def _require_image(actor: Actor, field: str, image: Image | None, kind: str) -> None:
    if image is None:
        return
    require(actor, "image.view", image)
    if image.kind != kind:
        raise Invalid(
            N_("%(name)s is of another kind."), field=field, fix=N_("Choose a disk as image, and a CD as CD."),
            name=names.name(image.name),
        )  # fmt: skip
