"""Appliances: an OVA is a tar of a description (OVF) and disks; the disks are taken out, the hardware is proposed.

Both come from anywhere. The tar is read by its headers alone, each of 512 bytes, and nothing is unpacked by a name that
stands in it; the description is small, has no document type, and no more is taken from it than numbers within bounds.

Layouts: POSIX.1-1988 for ustar, DMTF DSP0243 for OVF; resource types are those of CIM_ResourceAllocationSettingData.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import uploads
from .sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS

BLOCK = 512
MOST_MEMBERS = 64
MOST_DISKS = 16
LARGEST_DESCRIPTION = 1 << 20
MOST_CARDS = 16
PROCESSORS, MEMORY, CARD = "3", "4", "10"
_USTAR = b"ustar"
_PLAIN, _SKIPPED = (b"0", b"\0"), (b"x", b"g")


@dataclass(frozen=True)
class Member:
    name: str
    offset: int
    size: int


def is_one(path: Path) -> bool:
    """Whether the file is a tar whose first member is a description."""
    with uploads.opened(path, os.O_RDONLY) as file:
        head = os.pread(file, BLOCK, 0)
    return head[257:262] == _USTAR and head[:100].split(b"\0")[0].lower().endswith(b".ovf")


def take_disk(path: Path, target: Path, tick: Callable[[float], None], *, number: int = 0) -> dict[str, Any]:
    """Write one of the appliance's disks to `target`, by its place among them; returns what its description proposes:
    vcpus, memory_mib, cards, firmware ("uefi", "secure") where it is not BIOS, and disks where they are several.

    Raises Invalid for what is no appliance, or one of several machines.
    """
    with uploads.opened(path, os.O_RDONLY) as file:
        members = _members(file)
        first = next(iter(members.values()))
        if first.size > LARGEST_DESCRIPTION:
            raise _bad(N_("Its description is too long."), N_("Export the appliance again."))
        root = _parsed(os.pread(file, first.size, first.offset))
        names = _disks_of(root)
        disk = members.get(names[number]) if number < len(names) else None
        if disk is None:
            raise _bad(N_("The disk it describes is not in it."), N_("Export the appliance again, as one file."))
        uploads.require_room(disk.size)
        target.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with uploads.opened(target, flags) as made:
            done = 0
            while done < disk.size:
                piece = os.pread(file, min(uploads.PIECE, disk.size - done), disk.offset + done)
                if not piece:
                    raise _bad(N_("This image is cut off."), N_("Copy it again."))
                os.pwrite(made, piece, done)
                done += len(piece)
                tick(done / disk.size)
    return _proposed(root) | ({"disks": len(names)} if len(names) > 1 else {})


def _members(file: int) -> dict[str, Member]:
    found: dict[str, Member] = {}
    offset, size = 0, os.fstat(file).st_size
    for _ in range(MOST_MEMBERS + 1):
        head = os.pread(file, BLOCK, offset)
        if len(head) < BLOCK or not head.strip(b"\0"):
            break
        name, length, kind = head[:100].split(b"\0")[0], _number(head[124:136]), head[156:157]
        offset += BLOCK
        if head[257:262] != _USTAR or kind not in (*_PLAIN, *_SKIPPED) or length < 0 or offset + length > size:
            raise _bad(N_("This is no appliance that can be read."), N_("Export it again, as one file (OVA)."))
        if kind in _PLAIN:
            found[name.decode(errors="replace")] = Member(name.decode(errors="replace"), offset, length)
        offset += -(-length // BLOCK) * BLOCK
    else:
        raise _bad(N_("There is too much in this appliance."), N_("Export it again, without what is not needed."))
    return found


def _number(field: bytes) -> int:
    """In octal digits or, as GNU writes what is larger, as bytes; -1 for what is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[4:], "big")
    digits = field.strip(b"\0 ")
    return int(digits, 8) if digits and all(digit in b"01234567" for digit in digits) else -1


def _parsed(text: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise _bad(N_("Its description cannot be read."), N_("Export the appliance again.")) from None
    if root.getroottree().docinfo.doctype:
        raise _bad(N_("Its description has a document type."), N_("Export the appliance again."))
    return root


def _all(root: Any, name: str) -> list[Any]:
    """The elements of that name, whatever version of OVF they are of."""
    return [one for one in root.iter() if isinstance(one.tag, str) and etree.QName(one).localname == name]


def _attribute(element: Any, name: str) -> str:
    return next((str(value) for key, value in element.attrib.items() if etree.QName(key).localname == name), "")


def _disks_of(root: Any) -> list[str]:
    """The names of the members that are its disks, in the order in which they are described."""
    if len(_all(root, "VirtualSystem")) != 1 or _all(root, "VirtualSystemCollection"):
        raise _bad(N_("This appliance is not of one machine."), N_("Export the machines one by one."))
    disks = [one for one in _all(root, "Disk") if _attribute(one, "fileRef")]
    if not 0 < len(disks) <= MOST_DISKS:
        raise _bad(
            N_("This appliance has %(count)s disks; one to %(most)s can be taken."),
            N_("Unpack it, upload the disks one by one, and add them to the machine."), count=len(disks),
            most=MOST_DISKS,
        )  # fmt: skip
    files = {_attribute(one, "id"): one for one in _all(root, "File")}
    found = [files.get(_attribute(disk, "fileRef")) for disk in disks]
    if any(
        one is None or _attribute(one, "chunkSize") or _attribute(one, "compression") not in ("", "identity")
        for one in found
    ):
        raise _bad(N_("A disk of it is packed or in several pieces."), N_("Export the appliance again, unpacked."))
    names = [_attribute(one, "href") for one in found]
    if len(set(names)) != len(names):
        raise _bad(N_("Two of its disks are one and the same file."), N_("Export the appliance again."))
    return names


def _proposed(root: Any) -> dict[str, Any]:
    found, cards = dict[str, Any](), 0
    for item in _all(root, "Item"):
        told = {etree.QName(one).localname: (one.text or "").strip() for one in item if isinstance(one.tag, str)}
        kind, amount = told.get("ResourceType"), told.get("VirtualQuantity", "")
        quantity = int(amount) if amount.isascii() and amount.isdigit() and len(amount) < 16 else 0
        if kind == PROCESSORS and quantity:
            found["vcpus"] = min(quantity, MOST_VCPUS)
        elif kind == MEMORY and quantity:
            size = quantity * _unit(told.get("AllocationUnits", ""))
            found["memory_mib"] = min(max(size >> 20, LEAST_MEMORY_MIB), MOST_MEMORY_MIB)
        elif kind == CARD:
            cards += 1
    firmware = _firmware(root)
    return found | ({"cards": min(cards, MOST_CARDS)} if cards else {}) | ({"firmware": firmware} if firmware else {})


def _firmware(root: Any) -> str:
    """As VMware's extension says it, which other programs write, too; empty for BIOS and where nothing is said."""
    told = {_attribute(one, "key"): _attribute(one, "value").lower() for one in _all(root, "Config")}
    if told.get("firmware") != "efi":
        return ""
    return "secure" if told.get("bootOptions.efiSecureBootEnabled") == "true" else "uefi"


def _unit(words: str) -> int:
    """How many bytes: "byte * 2^20" or, of old, "MegaBytes", which is meant where nothing is said."""
    words = words.lower().replace(" ", "")
    known = {"byte": 1, "byte*2^10": 1 << 10, "kilobytes": 1 << 10, "byte*2^30": 1 << 30, "gigabytes": 1 << 30}
    return known.get(words, 1 << 20)


def _bad(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="source", fix=fix, **params)
