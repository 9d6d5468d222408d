"""Devices of the host that a machine can have for its own: PCI and USB."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device as a machine has it: of PCI by its `address` ("0000:01:00.0"), of USB by the four hexadecimal digits of
    its `vendor` and `product`, since its address changes each time that it is plugged in.
    """

    kind: Literal["pci", "usb"]
    address: str = ""
    vendor: str = ""
    product: str = ""

    @property
    def key(self) -> str:
        """What names it on its host."""
        return f"pci-{self.address}" if self.kind == "pci" else f"usb-{self.vendor}:{self.product}"


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device that is there. `group`: of the IOMMU, whose devices can only be given away together.

    `unfit`: why no machine can have it, a word of UNFIT; empty: it can.
    """

    spec: DeviceSpec
    title: str
    driver: str = ""
    group: int | None = None
    unfit: str = ""


UNFIT = ("disk", "network", "bridge", "hub", "alike", "iommu")
"""The host's disks or its network go through it, it leads to other devices, there are two alike, or no IOMMU."""


class Devices(Protocol):
    def host_devices(self) -> tuple[HostDevice, ...]:
        """What the host has, with different keys, sorted by them."""
        ...

    def attach_device(self, uuid: str, device: DeviceSpec) -> None:
        """Give a USB device to the running machine; done when it has it. Raises Refused where its run cannot."""
        ...

    def detach_device(self, uuid: str, device: DeviceSpec) -> bool:
        """Take it back; whether the guest has let it go. True when the run does not have it."""
        ...
