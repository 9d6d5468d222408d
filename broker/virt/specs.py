"""From rows to what drivers are asked for. Pure: reads what was already loaded, writes nothing.

Names on hosts are made here and nowhere else.
"""

from dataclasses import replace
from typing import Literal, cast
from uuid import UUID

from broker.virt.driver import (
    DiskLimits,
    DiskSpec,
    Hardware,
    MachineSpec,
    NetworkSpec,
    NicSpec,
    ScreenParts,
    StorageSpec,
    VolumeInfo,
)

from . import nfs_options, storage_secret
from .machine_options import KNOWN, OF_DISKS
from .models import Disk, DiskShare, FloatingDisk, Image, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine
from .models.disk import image_format

CD_DRIVE = "sda"
OF_MACHINES = KNOWN.keys() - set(OF_DISKS)


def storage_name(storage: StorageDomain) -> str:
    """What hosts call it."""
    return f"berth-{storage.id.hex[:8]}"


def storage_spec(storage: StorageDomain) -> StorageSpec:
    return StorageSpec(
        name=storage_name(storage),
        kind=cast(Literal["dir", "nfs", "iscsi"], storage.kind),
        path=storage.path,
        server=storage.server,
        export=storage.export,
        version=storage.version,
        mount=nfs_options.words(storage.mount) if storage.kind == StorageDomain.Kind.NFS else (),
        luns=tuple(storage.luns),
        user=storage.user,
        password=storage_secret.opened(storage),
    )


def network_spec(network: Network) -> NetworkSpec:
    return NetworkSpec(
        name=network.host_name,
        uuid=str(network.id),
        kind=cast(Literal["nat", "isolated", "bridge", "ovs"], network.kind),
        bridge=network.bridge,
        vlan=network.vlan,
        mtu=network.mtu,
        subnet=network.subnet,
    )


def volume_path(storage: StorageDomain, volume: str) -> str:
    """Where a volume lies on a host that sees `storage`."""
    return f"{storage.path.rstrip('/')}/{volume}"


def version_volume(version: TemplateVersion) -> VolumeInfo:
    """A template version's image, as something to clone."""
    return VolumeInfo(
        name=version.volume,
        path=volume_path(version.storage, version.volume),
        format="qcow2",
        capacity=version.size_bytes,
        allocation=0,
    )


def image_volume(image: Image) -> VolumeInfo:
    """A disk of the library, as something to copy."""
    return VolumeInfo(
        name=image.volume, path=volume_path(image.storage, image.volume), format="qcow2",
        capacity=image.capacity_bytes, allocation=0,
    )  # fmt: skip


def machine_spec(vm: VirtualMachine, *, without: Disk | None = None, screen: ScreenParts | None = None) -> MachineSpec:
    """What `vm` should be, with its disks and cards in their order; `without` one that is on its way out."""
    return MachineSpec(
        uuid=str(vm.id),
        name=vm.name,
        title=vm.title,
        mark=str(vm.id),
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        machine=vm.machine,
        graphics=tuple(vm.graphics or ["vnc"]),
        disks=(
            *(disk_spec(disk) for disk in vm.disks.all() if disk != without),
            *drives(vm),
            *(share_spec(share) for share in vm.disk_shares.all() if share.plugged),
        ),
        nics=tuple(nic_spec(nic) for nic in vm.nics.all() if nic.plugged),
        devices=tuple(use.device.spec for use in vm.devices.all() if use.plugged),
        hardware=Hardware(**{name: value for name, value in vm.options.items() if name in OF_MACHINES}),
        screen=screen,
    )


def drives(vm: VirtualMachine) -> tuple[DiskSpec, ...]:
    """Its CD drive, and the disk that cloud-init reads."""
    found = []
    if vm.cd is not None:
        found.append(cd_spec(vm.cd))
    if (seed := seed_of(vm)) is not None:
        # No drive: the kernels of many cloud images know only virtio, and cloud-init goes by the label alone.
        found.append(DiskSpec(path=volume_path(*seed), format="raw", target="vdz", readonly=True))
    return tuple(found)


def cd_spec(cd: Image) -> DiskSpec:
    """A CD as it is put in."""
    path = volume_path(cd.storage, cd.volume)
    return DiskSpec(path=path, format="raw", target=CD_DRIVE, bus="sata", device="cdrom", readonly=True)


def seed_of(vm: VirtualMachine) -> tuple[StorageDomain, str] | None:
    """Where the words for cloud-init lie: the storage, and the volume there."""
    return (vm.seed_on, f"seed-{vm.id}.iso") if vm.seed_on is not None else None


def other_storages(vm: VirtualMachine) -> set[StorageDomain]:
    """Where the CDs and shared disks lie that its definition names."""
    seed = seed_of(vm)
    shared = (share.disk.storage for share in vm.disk_shares.all())
    return {*((vm.cd.storage,) if vm.cd else ()), *((seed[0],) if seed else ()), *shared}


def nic_spec(nic: Nic) -> NicSpec:
    """A card as it is plugged in."""
    return NicSpec(
        mac=nic.mac, network=nic.network.host_name, model=nic.model, connected=nic.connected, in_kib=nic.in_kib,
        out_kib=nic.out_kib, guard=cast(Literal["addresses", "mac", "off"], nic.guarded),
    )  # fmt: skip


def disk_spec(disk: Disk) -> DiskSpec:
    """A disk as it is plugged in."""
    return DiskSpec(
        path=disk.path or volume_path(disk.storage, disk.volume),
        format=disk.format,
        target=disk.target,
        bus=disk.vm.options.get("disk_bus", "virtio"),
        # QEMU takes 20 characters of a virtio disk's serial
        serial=disk.id.hex[:20],
        limits=DiskLimits(**disk.limits) if disk.limits else None,
        readonly=disk.read_only,
        discard=disk.discard or None,
        detect_zeroes=disk.detect_zeroes or None,
        on_error=_on_error(disk.vm),
    )


def _on_error(vm: VirtualMachine) -> Literal["stop", "report"]:
    return "report" if vm.on_error == VirtualMachine.OnError.REPORT else "stop"


def image_of(disk: UUID | str, seen: VolumeInfo, size_bytes: int) -> VolumeInfo:
    """An image of the disk as its host sees it, with Berth's word for what it is where it is raw.

    The host goes by the first bytes then, which a guest writes: they may name another file, or any size.
    """
    if image_format(disk, seen.name) == "raw":
        return replace(seen, format="raw", capacity=size_bytes, backing="")
    return seen


def share_spec(share: DiskShare) -> DiskSpec:
    """A shared disk as it is plugged in."""
    disk = share.disk
    return DiskSpec(
        path=volume_path(disk.storage, disk.volume), format="raw", target=share.target, serial=disk.id.hex[:20],
        readonly=share.read_only, shareable=True, on_error=_on_error(share.vm),
    )  # fmt: skip


def floating_volume(disk: FloatingDisk) -> VolumeInfo:
    """The image of a disk of no machine, as something to copy."""
    return VolumeInfo(
        name=disk.volume, path=volume_path(disk.storage, disk.volume), format=disk.format, capacity=disk.size_bytes,
        allocation=disk.allocated_bytes,
    )  # fmt: skip
