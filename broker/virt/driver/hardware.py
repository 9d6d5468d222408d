"""The hardware of a machine beyond its size, disks and cards."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Hardware:
    """None: not spoken of, so as it is in an existing definition, and as the driver likes it in a new one.

    `cpu`: "host-model", "host-passthrough", "maximum" or a model's name. `sockets`, `cores` and `threads` multiply
    to the processors, or to `max_vcpus`: up to that, and up to `max_memory_mib`, it grows while it runs (0: it does
    not). `balloon_mib`: the memory after the start, 0 for all. `boot`: kinds of devices in their order.
    `cpu_pinning`: "0#0-1_1#2", of its processors those of the host each runs on, and `emulator_cpus`: "0-1", those for
    the rest of its emulator's work; "" for any. `hugepages_kib`: the size of the pages that its memory is in, 0 for
    ordinary ones. `numa_nodes`: how many its guest sees, in equal shares; 0 for none. `numa_host_nodes`: "0-1", those
    of the host that its memory is taken from, in the way `numa_mode` says.
    `system`: which kind of guest it is made for.
    `private_screens`: screens that listen on ports of the host are put on sockets.
    """

    system: Literal["other", "windows"] | None = None
    firmware: Literal["bios", "uefi", "secure"] | None = None
    tpm: bool | None = None
    cpu: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    cpu_pinning: str | None = None
    emulator_cpus: str | None = None
    hugepages_kib: int | None = None
    numa_nodes: int | None = None
    numa_mode: Literal["none", "strict", "preferred", "interleave"] | None = None
    numa_host_nodes: str | None = None
    max_vcpus: int | None = None
    max_memory_mib: int | None = None
    balloon_mib: int | None = None
    video: str | None = None
    heads: int | None = None
    sound: bool | None = None
    rng: bool | None = None
    watchdog: Literal["none", "reset", "poweroff", "pause"] | None = None
    boot: str | None = None
    private_screens: bool | None = None
