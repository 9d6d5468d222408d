"""Read what somebody else's domain is made of. Nothing here writes."""

import libvirt

from broker.virt.driver import FoundDisk, FoundMachine, FoundNic
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml import numa
from broker.virt.drivers.libvirt.domain_xml.devices import Disk, Interface
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

_UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MiB": 1 << 20, "GiB": 1 << 30}
# What a definition may hold that another host would not have.
_OF_THE_HOST = ("hostdev", "filesystem", "redirdev", "smartcard", "shmem", "vsock", "memory", "iommu", "lease")


class Describing(Link):
    """The machines of others on a host."""

    def found(self, uuid: str) -> FoundMachine:
        with self.calling():
            domain = self.domain(uuid)
            machine = Machine.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            plain = [disk for disk in machine.disks if _is_plain(disk)]
            disks = tuple(
                FoundDisk(disk.target or "", disk.path or "", int(domain.blockInfo(disk.target)[0])) for disk in plain
            )
            nics = [card for card in machine.interfaces if _is_ours_alike(card)]
            outside = [f"disk {d.target}" for d in machine.disks if d.target not in {one.target for one in plain}]
            outside += [f"card {c.mac}" for c in machine.interfaces if c.mac not in {one.mac for one in nics}]
            outside += [tag for tag in _OF_THE_HOST if machine.node.find(f"devices/{tag}") is not None]
            memory = _mib(machine.memory, machine.memory_unit)
            current = _mib(machine.current_memory, machine.current_memory_unit)
            video = machine.videos.first()
            mode, nodes = numa.host_nodes_of(machine) or ("", "")
            return FoundMachine(
                name=domain.name(), title=machine.title or "", vcpus=machine.vcpus or 1, memory_mib=memory,
                balloon_mib=0 if current in (0, memory) else current,
                machine="q35" if "q35" in (machine.machine or "") else "pc",
                graphics=tuple(one.type for one in machine.graphics if one.type in ("vnc", "spice")),
                video=(video.model if video else None) or "", disks=disks,
                nics=tuple(FoundNic(card.mac or "", card.network or "") for card in nics), outside=tuple(outside),
                cpu_pinning="_".join(f"{pin.vcpu}#{pin.cpus}" for pin in machine.pins),
                emulator_cpus=machine.emulator_cpus or "", hugepages_kib=numa.pages_of(machine) or 0,
                numa_nodes=numa.cells_of(machine), numa_mode=mode, numa_host_nodes=nodes,
            )  # fmt: skip


def _is_plain(disk: Disk) -> bool:
    """Whether writing it the way Berth writes its own leaves it as it is."""
    kind = (disk.type, disk.device or "disk", disk.format, disk.bus)
    special = any(disk.node.find(tag) is not None for tag in ("shareable", "transient", "encryption", "source/slices"))
    return kind == ("file", "disk", "qcow2", "virtio") and not disk.readonly and not special and bool(disk.path)


def _is_ours_alike(card: Interface) -> bool:
    return card.type == "network" and card.model == "virtio" and card.node.find("source[@portgroup]") is None


def _mib(amount: int | None, unit: str | None) -> int:
    return (amount or 0) * _UNITS.get(unit or "KiB", 1024) // (1 << 20)
