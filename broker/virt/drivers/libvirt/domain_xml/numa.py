"""Where on its host a machine runs and its memory lies, and how its own memory is laid out, in its definition."""

from broker.virt.driver import Hardware
from broker.virt.drivers.libvirt.domain_xml.machine import Cell, Machine, Pin

SLOTS = 16  # how often memory can be plugged in
MIB = 1024  # KiB


def apply(hardware: Hardware, machine: Machine) -> None:
    """Make `machine` have what `hardware` says of it; its processors and the size of its memory are written before."""
    if hardware.cpu_pinning is not None:
        _pin(hardware.cpu_pinning, machine)
    if hardware.emulator_cpus is not None:
        machine.emulator_cpus = hardware.emulator_cpus or None
    if hardware.hugepages_kib is not None and hardware.hugepages_kib != pages_of(machine):
        machine.forget_pages()
        if hardware.hugepages_kib:
            machine.page_size, machine.page_unit = hardware.hugepages_kib, "KiB"
    wanted = (hardware.numa_mode, hardware.numa_host_nodes or "")
    if hardware.numa_mode is not None and wanted != host_nodes_of(machine):
        machine.forget_host_nodes()
        if hardware.numa_mode != "none":
            machine.numa_mode, machine.numa_host_nodes = hardware.numa_mode, hardware.numa_host_nodes
    _room(hardware, machine)


def _pin(wanted: str, machine: Machine) -> None:
    pins = [one.split("#") for one in wanted.split("_") if one]
    if {int(vcpu): cpus for vcpu, cpus in pins} == {pin.vcpu: pin.cpus for pin in machine.pins}:
        return
    machine.forget_pins()
    for vcpu, cpus in pins:
        machine.pins.add(Pin.new(vcpu=vcpu, cpus=cpus))


def pages_of(machine: Machine) -> int | None:
    """Of which size in KiB all its pages are, 0 for ordinary ones; None where they are mixed or as the host likes."""
    if machine.node.find("memoryBacking/hugepages") is None:
        return 0
    pages = machine.node.findall("memoryBacking/hugepages/page")
    plain = len(pages) == 1 and machine.page_unit == "KiB" and pages[0].get("nodeset") is None
    return machine.page_size if plain else None


def host_nodes_of(machine: Machine) -> tuple[str, str] | None:
    """How and from which NUMA nodes of the host its memory comes; None where parts of it come from different ones."""
    if machine.node.find("numatune") is None:
        return "none", ""
    if machine.node.find("numatune/memnode") is not None or machine.numa_host_nodes is None:
        return None
    return machine.numa_mode or "strict", machine.numa_host_nodes


def _room(hardware: Hardware, machine: Machine) -> None:
    """Room for more memory needs the present one to be in a cell. Cells that somebody else laid out stay."""
    if hardware.numa_nodes is None and (hardware.max_memory_mib is None or len(machine.cells) > 1):
        return
    if hardware.max_memory_mib is not None:
        if hardware.max_memory_mib * MIB > (machine.memory or 0):
            machine.max_memory, machine.max_memory_unit = hardware.max_memory_mib * MIB, "KiB"
            machine.max_memory_slots = machine.max_memory_slots or SLOTS
        elif machine.max_memory is not None:
            machine.forget_room()
    if count := hardware.numa_nodes or (1 if machine.max_memory is not None else 0):
        _share_out(machine, count, max(hardware.hugepages_kib or 0, MIB))
    elif hardware.numa_nodes == 0:
        machine.forget_cells()


def _share_out(machine: Machine, count: int, page: int) -> None:
    """So many cells, alike but for what cannot be divided, which the first ones have. `page`: KiB."""
    if len(machine.cells) != count:
        machine.forget_cells()
        for number in range(count):
            machine.cells.add(Cell.new(id=number))
    for cell, (cpus, memory) in zip(machine.cells, shares(machine, count, page), strict=True):
        cell.cpus, cell.memory, cell.unit = cpus, memory, "KiB"


def shares(machine: Machine, count: int, page: int) -> list[tuple[str, int]]:
    """The processors, as libvirt writes them, and the KiB of each of so many cells."""
    vcpus, pages = machine.vcpus or 1, (machine.memory or 0) // page
    found, first = [], 0
    for number in range(count):
        last = first + vcpus // count + (number < vcpus % count) - 1
        memory = (pages // count + (number < pages % count)) * page
        found.append((str(first) if first == last else f"{first}-{last}", memory))
        first = last + 1
    return found


def cells_of(machine: Machine) -> int:
    """Into how many cells it is shared out as `_share_out` would; 0 where it has none or one, or they are others."""
    cells = [(cell.cpus, cell.memory) for cell in machine.cells]
    page = max(pages_of(machine) or 0, MIB)
    return len(cells) if len(cells) > 1 and cells == shares(machine, len(cells), page) else 0
