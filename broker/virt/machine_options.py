"""What the hardware of a machine may be, beyond its size: one table for forms, the API, the docs and the checks.

A machine keeps only what somebody chose. What was never chosen is as the driver makes a new machine, and as somebody
else left it in one that exists.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.tables import Setting, checked
from broker.core.text import gettext_noop as N_

from . import cpu_pinning

_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SCREENS = ("vnc", "spice")
SEVERAL_HEADS = ("virtio", "qxl")
TOPOLOGY = ("sockets", "cores", "threads")
# what says nothing once the size is another
OF_SIZE = (*TOPOLOGY, "max_vcpus", "max_memory_mib", "balloon_mib", "cpu_pinning", "numa_nodes")

OPTIONS = (
    Setting(
        "system", "other", N_("Made for"),
        N_("Windows: its clock in local time, Hyper-V’s help, and a pointer it knows."),
        choices=(("other", N_("Linux and others")), ("windows", N_("Windows"))),
    ),
    Setting(
        "firmware", "bios", N_("Firmware"), N_("Secure Boot starts signed systems only."),
        choices=(("bios", N_("BIOS")), ("uefi", N_("UEFI")), ("secure", N_("UEFI with Secure Boot"))),
    ),
    Setting("tpm", False, N_("TPM"), N_("A TPM 2.0, as Windows 11 asks for.")),
    Setting("cpu", "host-model", N_("Processor model"), N_("host-model, host-passthrough, maximum or a model's name.")),
    Setting("sockets", 1, N_("Sockets"), least=1, most=64),
    Setting("cores", 1, N_("Cores in a socket"), least=1, most=256),
    Setting("threads", 1, N_("Threads in a core"), least=1, most=8),
    Setting(
        "cpu_pinning", "", N_("Processors pinned to the host’s"),
        N_("0#0-1_1#2: its processor 0 runs on the host’s 0 and 1, its processor 1 on 2. It runs on such hosts only."),
        longest=cpu_pinning.LONGEST,
    ),
    Setting(
        "emulator_cpus", "", N_("Host’s processors for its emulator"),
        N_("Such as 0-1: where QEMU’s own work for it is done. Empty: wherever its host likes."), longest=200,
    ),
    Setting(
        "hugepages_kib", 0, N_("Huge pages in KiB"),
        N_("2048 or 1048576, of which its host has enough free. 0: its memory is in ordinary pages."),
        least=0, most=16 * 1024 * 1024,
    ),
    Setting(
        "numa_nodes", 0, N_("NUMA nodes"),
        N_("Its guest sees so many, each with an equal share of processors and memory. 0: it sees none."),
        least=0, most=16,
    ),
    Setting(
        "numa_mode", "none", N_("Its memory is taken from the host’s NUMA nodes"),
        choices=(
            ("none", N_("from any")), ("strict", N_("from these alone")),
            ("preferred", N_("from this one if it can be")), ("interleave", N_("from these in turn")),
        ),
    ),
    Setting(
        "numa_host_nodes", "", N_("Host’s NUMA nodes for its memory"),
        N_("Such as 0, or 0-1. It runs on such hosts only."), longest=200,
    ),
    Setting(
        "max_vcpus", 0, N_("Most processors"),
        N_("Up to so many it can be given while it runs. 0: as many as it has."), least=0, most=256,
    ),
    Setting(
        "max_memory_mib", 0, N_("Most memory in MiB"),
        N_("Up to so much it can be given while it runs. 0: as much as it has."), least=0, most=4 * 1024 * 1024,
    ),
    Setting(
        "balloon_mib", 0, N_("Memory after its start in MiB"),
        N_("The balloon keeps the rest of its memory back. 0: it has all of it."), least=0, most=4 * 1024 * 1024,
    ),
    Setting(
        "video", "virtio", N_("Graphics card"),
        choices=(("virtio", "virtio"), ("qxl", "QXL"), ("vga", "VGA"), ("bochs", "Bochs")),
    ),
    Setting(
        "heads", 1, N_("Monitors"), N_("Most monitors that Remote Viewer shows. A browser shows the first."),
        least=1, most=4,
    ),
    Setting(
        "disk_bus", "virtio", N_("Its disks are"),
        N_("virtio is fastest. SATA is for systems without its drivers, as Windows before they are installed."),
        choices=(("virtio", N_("virtio")), ("scsi", N_("SCSI (virtio)")), ("sata", N_("SATA"))),
    ),
    Setting("sound", False, N_("Sound card")),
    Setting("rng", True, N_("Source of randomness")),
    Setting(
        "watchdog", "none", N_("Watchdog"), N_("What is done when the guest no longer feeds it."),
        choices=(
            ("none", N_("no watchdog")), ("reset", N_("reset the machine")), ("poweroff", N_("power it off")),
            ("pause", N_("pause it")),
        ),
    ),
    Setting(
        "boot", "disk", N_("Boot from"),
        choices=(
            ("disk", N_("disk")), ("disk-network", N_("disk, then network")),
            ("network-disk", N_("network, then disk")),
            ("disk-cdrom", N_("disk, then CD")),
            ("cdrom-disk", N_("CD, then disk")),
        ),
    ),
    Setting(
        "private_screens", False, N_("Take its screens off the network"),
        N_("Those of a machine made elsewhere may listen on ports of its host. Then Berth alone shows them."),
    ),
)  # fmt: skip
KNOWN = {one.name: one for one in OPTIONS}
OF_DISKS = ("disk_bus",)  # said of each of its disks, not of the machine


def checked_graphics(given: Collection[str]) -> list[str]:
    """The screens a machine has, in a fixed order. Raises Invalid."""
    if isinstance(given, str) or not given or not set(given) <= set(SCREENS):
        raise Invalid(
            N_("These are no screens that a machine can have."), field="graphics",
            fix=N_("Use one or both of: %(known)s."), known=", ".join(SCREENS),
        )  # fmt: skip
    return [kind for kind in SCREENS if kind in given]


def changed(present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept once `given` was chosen over `present`. Raises Invalid naming the option."""
    if not isinstance(given, Mapping):
        raise Invalid(N_("This is no table of options."), field="options", fix=N_("Give names and values."))
    chosen = checked(OPTIONS, given)
    if "cpu" in chosen and not _CPU.fullmatch(chosen["cpu"]):
        raise Invalid(
            N_("This is no name of a processor model."), field="cpu",
            fix=N_("Use host-model, host-passthrough, maximum, or a name that `virsh cpu-models x86_64` lists."),
        )  # fmt: skip
    if "cpu_pinning" in chosen:
        chosen["cpu_pinning"] = cpu_pinning.pinning(chosen["cpu_pinning"])
    if "emulator_cpus" in chosen:
        chosen["emulator_cpus"] = cpu_pinning.set_of(chosen["emulator_cpus"], field="emulator_cpus")
    if "numa_host_nodes" in chosen:
        chosen["numa_host_nodes"] = cpu_pinning.set_of(chosen["numa_host_nodes"], field="numa_host_nodes")
    if (size := chosen.get("hugepages_kib", 0)) & (size - 1):
        raise Invalid(
            N_("No host has pages of %(size)s KiB."), field="hugepages_kib",
            fix=N_("Use 2048 or 1048576, or another power of two that its hosts’ pages tell."), size=size,
        )  # fmt: skip
    return {**present, **chosen}


def inherited(options: Mapping[str, Any], *, resized: bool = False) -> dict[str, Any]:
    """What of a machine's hardware one gets that is made from it, in another size if `resized`."""
    dropped = {"private_screens", *(OF_SIZE if resized else ())}
    return {name: value for name, value in options.items() if name in KNOWN and name not in dropped}


def ensure_fits(*, options: Mapping[str, Any], vcpus: int, memory_mib: int, machine: str) -> None:
    """Raise Invalid unless the options go with each other and with the size of the machine."""
    if any(name in options for name in TOPOLOGY):
        sockets, cores, threads = (int(options.get(name, 1)) for name in TOPOLOGY)
        most = options.get("max_vcpus", 0) or vcpus
        if sockets * cores * threads != most:
            raise Invalid(
                N_("%(sockets)s sockets of %(cores)s cores with %(threads)s threads are not %(vcpus)s processors."),
                field="sockets", fix=N_("Choose sockets, cores and threads whose product is the most processors."),
                sockets=sockets, cores=cores, threads=threads, vcpus=most,
            )  # fmt: skip
    most = max(options.get("max_vcpus", 0), vcpus)
    beyond = [vcpu for vcpu in cpu_pinning.pins(options.get("cpu_pinning", "")) if vcpu >= most]
    if beyond:
        raise Invalid(
            N_("The pinning names its processor %(beyond)s, but they are numbered from 0 to %(last)s."),
            field="cpu_pinning", fix=N_("Take that one out of the pinning, or give the machine more processors."),
            beyond=beyond[0], last=most - 1,
        )  # fmt: skip
    for name, has in (("max_vcpus", vcpus), ("max_memory_mib", memory_mib)):
        if 0 < options.get(name, 0) < has:
            raise Invalid(
                N_("The machine has %(has)s already."), field=name,
                fix=N_("Choose as much or more, or 0 for what it has."), has=has,
            )  # fmt: skip
    if options.get("balloon_mib", 0) > memory_mib:
        raise Invalid(
            N_("After its start it cannot have more than its memory, %(memory)s MiB."), field="balloon_mib",
            fix=N_("Choose less, or give the machine more memory."), memory=memory_mib,
        )  # fmt: skip
    _ensure_pages(options, memory_mib)
    _ensure_nodes(options, vcpus, memory_mib)
    if options.get("heads", 1) > 1 and options.get("video", "virtio") not in SEVERAL_HEADS:
        raise Invalid(
            N_("The graphics card %(card)s has one monitor."), field="heads",
            fix=N_("Choose virtio or QXL for more."), card=options["video"],
        )  # fmt: skip
    if options.get("firmware") == "secure" and machine != "q35":
        raise Invalid(
            N_("Secure Boot needs a machine of the type q35; this is %(machine)s."), field="firmware",
            fix=N_("Choose UEFI, or a template of the type q35."), machine=machine,
        )  # fmt: skip


def _ensure_pages(options: Mapping[str, Any], memory_mib: int) -> None:
    """Raise Invalid unless the memory can be in huge pages, where it should be."""
    size = options.get("hugepages_kib", 0)
    if not size:
        return
    if memory_mib * 1024 % size:
        raise Invalid(
            N_("Its memory, %(memory)s MiB, is not a whole number of pages of %(size)s KiB."), field="hugepages_kib",
            fix=N_("Choose smaller pages, or as much memory as fills them."), memory=memory_mib, size=size,
        )  # fmt: skip
    if options.get("balloon_mib", 0):
        raise Invalid(
            N_("Memory in huge pages is not lent back."), field="balloon_mib",
            fix=N_("Choose 0 for the memory after its start, or ordinary pages."),
        )  # fmt: skip


def _ensure_nodes(options: Mapping[str, Any], vcpus: int, memory_mib: int) -> None:
    """Raise Invalid unless each NUMA node has something, and its memory comes from nodes of a host that are named."""
    nodes, size = options.get("numa_nodes", 0), max(options.get("hugepages_kib", 0), 1024)
    if nodes > min(vcpus, memory_mib * 1024 // size):
        raise Invalid(
            N_("There is too little for %(nodes)s NUMA nodes: each has a processor and a page of memory at least."),
            field="numa_nodes", fix=N_("Choose fewer nodes, or more processors and memory."), nodes=nodes,
        )  # fmt: skip
    mode, named = options.get("numa_mode", "none"), options.get("numa_host_nodes", "")
    if (mode == "none") != (not named):
        raise Invalid(
            N_("Which NUMA nodes of the host its memory comes from, and how, are chosen together."),
            field="numa_host_nodes" if mode != "none" else "numa_mode",
            fix=N_("Choose both, or any node and none by its number."),
        )  # fmt: skip
    if mode == "preferred" and not named.isdigit():
        raise Invalid(
            N_("One NUMA node is preferred, not several."), field="numa_host_nodes",
            fix=N_("Name one node, or take its memory from several in turn."),
        )  # fmt: skip
