"""The parts of a machine that change by themselves: how a noted change of one is written, and how it is shown.

A part is a row of its own with its machine in `vm`. `plugged`, where it has that: whether it is there already. Of a
change, "plug" means that it comes, "gone" that it goes, and all else names the part's fields.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from broker.core.text import gettext_noop as N_

from .models import DeviceUse, Disk, DiskShare, Network, Nic, VirtualMachine

Part = Nic | Disk | DiskShare | DeviceUse


class Kind:
    """One kind of part: `key`, under which PendingChange keeps its changes, and `fields` with their names."""

    key: ClassVar[str]
    title: ClassVar[str]
    model: ClassVar[type[Any]]
    related: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[Mapping[str, str]] = {}

    def rows(self, vm: VirtualMachine, pks: Collection[str]) -> list[Any]:
        """Those of the machine with these ids."""
        return list(self.model.objects.filter(vm=vm, pk__in=list(pks)).select_related(*self.related)) if pks else []

    def name(self, part: Any) -> str:
        return str(part.target)

    def has(self, part: Any) -> dict[str, Any]:
        """Its fields as they are, as people read them."""
        return {name: getattr(part, name) for name in self.fields}

    def changed(self, part: Any, change: Mapping[str, Any]) -> Any:
        """The part, unsaved, as it will be."""
        for name in self.fields.keys() & change.keys():
            setattr(part, name, change[name])
        return part

    def settle(self, part: Any, change: Mapping[str, Any]) -> None:
        """Write it into the row."""
        if change.get("gone"):
            part.delete()
            return
        self.changed(part, change)
        if "plug" in change:
            part.plugged = True
        part.save()

    def sides(self, part: Any, change: Mapping[str, Any]) -> tuple[Any, Any]:
        """The two sides of the diff; None: not there."""
        present = self.has(part)
        if change.get("gone"):
            return present, None
        if change.get("plug"):
            return None, present
        after = self.has(self.changed(part, change))
        return (
            {name: value for name, value in present.items() if after[name] != value},
            {name: value for name, value in after.items() if present[name] != value},
        )


class Cards(Kind):
    key, title, model, related = "nics", N_("Network card"), Nic, ("network",)
    fields = {
        "network": N_("network"), "model": N_("model"), "connected": N_("cable in"), "in_kib": N_("KiB a second in"),
        "out_kib": N_("KiB a second out"), "guard": N_("may send as"),
    }  # fmt: skip

    def name(self, part: Nic) -> str:
        return part.mac

    def has(self, part: Nic) -> dict[str, Any]:
        return {**super().has(part), "network": part.network.name}

    def changed(self, part: Nic, change: Mapping[str, Any]) -> Nic:
        """A network that is gone meanwhile changes nothing."""
        super().changed(part, {name: value for name, value in change.items() if name != "network"})
        if "network" in change and (network := Network.objects.filter(pk=change["network"]).first()) is not None:
            part.network = network
        return part

    def settle(self, part: Nic, change: Mapping[str, Any]) -> None:
        super().settle(part, {"plug": True, **change})


class Disks(Kind):
    """Disks of the machine's own: no run takes a change of these."""

    key, title, model = "disks", N_("Disk"), Disk
    fields = {"read_only": N_("read-only"), "discard": N_("discard"), "detect_zeroes": N_("blocks of zeroes")}


class SharedDisks(Kind):
    key, title, model, related = "shared_disks", N_("Shared disk"), DiskShare, ("disk__storage",)
    fields = {"read_only": N_("read-only")}

    def name(self, part: DiskShare) -> str:
        return f"{part.target} ({part.disk.name})"


class Devices(Kind):
    key, title, model, related = "devices", N_("Device of the host"), DeviceUse, ("device__host",)

    def name(self, part: DeviceUse) -> str:
        return str(part.device)


PARTS: dict[str, Kind] = {kind.key: kind for kind in (Cards(), Disks(), SharedDisks(), Devices())}


def kind_of(part: Part) -> str:
    return next(key for key, kind in PARTS.items() if isinstance(part, kind.model))
