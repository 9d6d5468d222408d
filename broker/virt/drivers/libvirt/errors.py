"""libvirt's errors as ours. The text of libvirt's message travels along as a parameter."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import DriverError, HostUnreachable, Locked, NoSpace, NotFound, Refused, Unsupported

_FAMILIES: dict[type[DriverError], tuple[str, ...]] = {
    NotFound: ("NO_DOMAIN", "NO_STORAGE_POOL", "NO_STORAGE_VOL", "NO_NETWORK", "NO_DOMAIN_METADATA"),
    Unsupported: ("NO_SUPPORT", "CONFIG_UNSUPPORTED", "ARGUMENT_UNSUPPORTED", "OPERATION_UNSUPPORTED"),
    Locked: ("OPERATION_TIMEOUT", "RESOURCE_BUSY"),
    Refused: (
        "OPERATION_INVALID", "OPERATION_DENIED", "OPERATION_FAILED", "OPERATION_ABORTED", "INVALID_ARG",
        "XML_ERROR", "XML_DETAIL", "XML_INVALID_SCHEMA", "DOM_EXIST", "NETWORK_EXIST", "STORAGE_VOL_EXIST",
        "ACCESS_DENIED", "AUTH_FAILED", "AUTH_CANCELLED", "AUTH_UNAVAILABLE", "AGENT_UNRESPONSIVE",
        "AGENT_UNSYNCED", "AGENT_COMMAND_FAILED", "NO_SOURCE", "DEVICE_MISSING",
    ),
    HostUnreachable: ("NO_CONNECT", "INVALID_CONN", "RPC", "GNUTLS_ERROR"),
}  # fmt: skip

FAMILY: dict[int, type[DriverError]] = {
    getattr(libvirt, f"VIR_ERR_{name}"): family
    for family, names in _FAMILIES.items()
    for name in names
    if hasattr(libvirt, f"VIR_ERR_{name}")
}

# what QEMU and the file system say travels inside libvirt's INTERNAL_ERROR and SYSTEM_ERROR
_TEXTS: tuple[tuple[re.Pattern[str], type[DriverError]], ...] = (
    (re.compile(r"No space left on device|Disk quota exceeded"), NoSpace),
    (
        re.compile(
            r'Failed to get "?\w+"? lock|still being allocated|is in use by another'
            r"|cannot acquire state|has asynchronous jobs running"
            # of an attempt in which libvirtd was killed; each new one has other names
            r"|Duplicate nodes with node-name"
            # QEMU died just now: at the next try it is known that the machine is off
            r"|Unable to (?:read from|write to) monitor"
        ),
        Locked,
    ),
)

_FIXES: dict[type[DriverError], str] = {
    HostUnreachable: gettext_noop("Check that libvirtd runs there and that the network lets us through."),
    Locked: gettext_noop("Try again when the other work on it is done."),
    NoSpace: gettext_noop("Free space on the storage or add more."),
}


def family(error: libvirt.libvirtError) -> type[DriverError]:
    """The kind of DriverError that `error` is, judged by its code and, where that says nothing, its text."""
    text = error.get_error_message() or str(error)
    for pattern, kind in _TEXTS:
        if pattern.search(text):
            return kind
    return FAMILY.get(error.get_error_code(), DriverError)


def translate(error: libvirt.libvirtError, *, alive: bool = True) -> DriverError:
    """`error` as a DriverError. `alive`: whether the connection still was when it happened.

    A lost connection shows as INTERNAL_ERROR among others, so that the code alone does not tell.
    """
    kind = family(error) if alive else HostUnreachable
    return kind(
        _template(kind),
        fix=_FIXES.get(kind, ""),
        reason=(error.get_error_message() or str(error)).strip(),
        libvirt_code=error.get_error_code(),
    )


def _template(kind: type[DriverError]) -> str:
    if kind is HostUnreachable:
        return gettext_noop("The host does not answer: %(reason)s.")
    if kind is NoSpace:
        return gettext_noop("The host has no space left: %(reason)s.")
    return gettext_noop("The host said: %(reason)s.")


@contextmanager
def translating(connection: libvirt.virConnect | None = None) -> Iterator[None]:
    """Turn libvirt's errors inside the block into ours."""
    try:
        yield
    except libvirt.libvirtError as error:
        alive = connection is None or is_alive(connection)
        raise translate(error, alive=alive) from error


def is_alive(connection: libvirt.virConnect) -> bool:
    """Whether the connection stands; asks nobody, so it returns at once."""
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False
