"""Volumes and networks of a simulated host."""

import ipaddress
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.core.text import gettext_noop
from broker.virt.driver import (
    Lease,
    NetworkSpec,
    NoSpace,
    NotFound,
    Refused,
    StorageInfo,
    StorageSpec,
    Unsupported,
    VolumeInfo,
    lain_on,
    no_volume,
)
from broker.virt.drivers import names
from broker.virt.drivers.simulated.machines import Link
from broker.virt.drivers.simulated.world import Data

CAPACITY = 1 << 40
_OVERLAY_SIZE = 200 << 10  # what a fresh qcow2 takes
_COPY_STEPS = 10


class Storing(Link):
    """The storage of a simulated host. A storage is known by its path."""

    def ensure_storage(self, spec: StorageSpec) -> StorageInfo:
        names.check(spec.name)
        self.meet("ensure_storage")
        with self.world.changing() as data:
            volumes = data["storages"].setdefault(spec.path, {"name": spec.name, "volumes": {}})["volumes"]
            return _info(volumes)

    def storage(self, spec: StorageSpec) -> StorageInfo:
        self.meet("storage")
        with self.world.changing() as data:
            return _info(_volumes(data, spec))

    def volumes(self, storage: StorageSpec) -> tuple[VolumeInfo, ...]:
        self.meet("volumes")
        with self.world.changing() as data:
            present = _volumes(data, storage)
            whole = [name for name in sorted(present) if not name.endswith(".part") and f"{name}.part" not in present]
            return tuple(_volume(storage, name, present[name]) for name in whole)

    def volume(self, storage: StorageSpec, name: str) -> VolumeInfo | None:
        names.check(name)
        self.meet("volume")
        with self.world.changing() as data:
            present = _volumes(data, storage)
            if name not in present or f"{name}.part" in present:
                return None
            return _volume(storage, name, present[name])

    def create_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        capacity: int = 0,
        backing: VolumeInfo | None = None,
        raw: bool = False,
    ) -> VolumeInfo:
        names.check(name)
        self.meet("create_volume")
        wanted = {
            "capacity": capacity or (backing.capacity if backing else 0), "allocation": _OVERLAY_SIZE,
            "backing": backing.path if backing else "",
        } | _kind(raw)  # fmt: skip
        with self.world.changing() as data:
            present = _volumes(data, storage)
            _check_space(present, _OVERLAY_SIZE)
            if present.setdefault(name, wanted) != wanted:
                raise Refused(
                    gettext_noop("There is another volume called “%(name)s” already."),
                    fix=gettext_noop("Delete it, or use another name."),
                    name=name,
                )
        return _volume(storage, name, wanted)

    def copy_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        source: VolumeInfo,
        progress: Callable[[float], None] = lambda share: None,
        raw: bool = False,
    ) -> VolumeInfo:
        if (done := self.volume(storage, name)) is not None:
            return done
        copied: Data = {
            "capacity": source.capacity, "allocation": source.allocation or _OVERLAY_SIZE, "backing": "", **_kind(raw)
        }  # fmt: skip
        with self.world.changing() as data:
            _check_space(_volumes(data, storage), copied["allocation"])
            _volumes(data, storage)[f"{name}.part"] = copied
        for step in range(_COPY_STEPS):
            self.meet("copy_volume")
            progress(step / _COPY_STEPS)
        with self.world.changing() as data:
            present = _volumes(data, storage)
            present[name] = copied
            present.pop(f"{name}.part", None)
        progress(1.0)
        return _volume(storage, name, copied)

    def delete_volume(self, storage: StorageSpec, name: str) -> None:
        names.check(name)
        self.meet("delete_volume")
        with self.world.changing() as data:
            for each in (name, f"{name}.part"):
                _volumes(data, storage).pop(each, None)

    def wipe_volume(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        names.check(name)
        self.meet("wipe_volume")
        with self.world.changing() as data:
            present = _volumes(data, storage)
            if name not in present:
                return
            path = f"{storage.path}/{name}"
            for other, volume in present.items():
                if volume["backing"] == path:
                    raise lain_on(name, other)
            present.setdefault(f"{name}.part", present[name])
            wiped = data["storages"][storage.path].setdefault("wiped", [])
            if name not in wiped:
                wiped.append(name)
        progress(1.0)

    def read_notes(self, storage: StorageSpec) -> tuple[bytes, ...]:
        self.meet("read_notes")
        with self.world.changing() as data:
            _volumes(data, storage)
            notes = data["storages"][storage.path].get("notes", {})
            return tuple(note.encode() for note in notes.values())

    def write_note(self, storage: StorageSpec, slot: int, data: bytes) -> None:
        self.meet("write_note")
        with self.world.changing() as kept:
            _volumes(kept, storage)
            kept["storages"][storage.path].setdefault("notes", {})[str(slot)] = data.decode()

    def release_storage(self, storage: StorageSpec) -> None:
        self.meet("release_storage")

    def fetch_volume(
        self, storage: StorageSpec, name: str, target: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        names.check(name)
        self.meet("fetch_volume")
        raise _without_bytes(storage)

    def head_of_volume(self, storage: StorageSpec, name: str, length: int) -> bytes:
        """The header of a qcow2 image that lies on no other, whatever the volume lies on here."""
        names.check(name)
        self.meet("head_of_volume")
        with self.world.changing() as data:
            present = _volumes(data, storage)
            if name not in present:
                raise no_volume(name)
            header = b"QFI\xfb" + struct.pack(">IQIIQI", 3, 0, 0, 16, present[name]["capacity"], 0)
        return (header.ljust(100, b"\0") + struct.pack(">I", 104) + bytes(8))[:length]

    def store_volume(
        self, storage: StorageSpec, name: str, source: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> VolumeInfo:
        names.check(name)
        self.meet("store_volume")
        raise _without_bytes(storage)


def _kind(raw: bool) -> Data:
    """What a volume's data says of its format; none says qcow2."""
    return {"format": "raw"} if raw else {}


def _without_bytes(storage: StorageSpec) -> Unsupported:
    return Unsupported(
        gettext_noop("The volumes of “%(name)s” are simulated and have no contents."),
        fix=gettext_noop("Use a real host."),
        name=storage.name,
    )


class Networking(Link):
    """The networks of a simulated host."""

    def ensure_network(self, spec: NetworkSpec) -> None:
        names.check(spec.name)
        self.meet("ensure_network")
        with self.world.changing() as data:
            present = data["networks"].setdefault(spec.name, {"kind": spec.kind})
            if present["kind"] != spec.kind:
                raise Refused(
                    gettext_noop("The host has a network “%(name)s” already, of kind “%(kind)s”."),
                    fix=gettext_noop("Use another name, or remove that network."),
                    name=spec.name,
                    kind=present["kind"],
                )
            present.update(bridge=spec.bridge, subnet=spec.subnet, vlan=spec.vlan, mtu=spec.mtu)

    def leases(self, name: str) -> tuple[Lease, ...]:
        """Each card of a machine that runs has one, by its MAC's last octets."""
        self.meet("leases")
        with self.world.changing() as data:
            network = data["networks"].get(name, {})
            if not network.get("subnet"):
                return ()
            subnet = ipaddress.IPv4Network(network["subnet"])
            room = subnet.num_addresses - 3  # without its own, the host's and the broadcast address
            return tuple(
                Lease(card["mac"], str(subnet[2 + int(card["mac"][-5:].replace(":", ""), 16) % room]))
                for machine in data["machines"].values()
                if machine["power"] == "running"
                for card in machine["definition"].get("nics", [])
                if card["network"] == name
            )

    def remove_network(self, name: str) -> None:
        self.meet("remove_network")
        with self.world.changing() as data:
            data["networks"].pop(name, None)


def _volumes(data: Data, storage: StorageSpec) -> dict[str, Data]:
    try:
        return data["storages"][storage.path]["volumes"]  # type: ignore[no-any-return]
    except KeyError:
        raise NotFound(
            gettext_noop("The host has no storage “%(name)s” at %(path)s."),
            fix=gettext_noop("Attach the storage to the host."),
            name=storage.name,
            path=storage.path,
        ) from None


def _info(volumes: dict[str, Data]) -> StorageInfo:
    used = sum(volume["allocation"] for volume in volumes.values())
    return StorageInfo(capacity=CAPACITY, allocation=used, available=CAPACITY - used)


def _check_space(volumes: dict[str, Data], size: int) -> None:
    if _info(volumes).available < size:
        raise NoSpace(
            gettext_noop("The host has no space left: %(reason)s."),
            fix=gettext_noop("Free space on the storage or add more."),
            reason="full",
        )


def _volume(storage: StorageSpec, name: str, volume: dict[str, Any]) -> VolumeInfo:
    return VolumeInfo(
        name=name, path=f"{storage.path}/{name}", format=volume.get("format", "qcow2"), capacity=volume["capacity"],
        allocation=volume["allocation"], backing=volume["backing"],
    )  # fmt: skip
