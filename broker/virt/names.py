"""What people may call things, and other text from forms: checked once, here, before anything is written."""

import ipaddress
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

LONGEST_NAME = 64
LONGEST_TITLE = 128
LONGEST_TEXT = 10_000
MOST_LABELS = 32

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?)*")
_IQN = re.compile(r"(iqn\.\d{4}-\d{2}\.[a-z0-9][a-z0-9.:_-]{0,200}|eui\.[0-9A-F]{16}|naa\.[0-9A-F]{16,32})")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_SCHEME = re.compile(r"[a-z][a-z0-9]*(\+(unix|tcp|tls|ssh|libssh2))?")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_URI_WORDS = frozenset({"socket", "pkipath", "keyfile", "known_hosts", "known_hosts_verify", "sshauth"})

# An administrator's slip here could overwrite or fill the system itself.
_SYSTEM_DIRECTORIES = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin",
    "/sys", "/usr", "/var/run", "/var/lib/dpkg", "/var/log", "/var/cache",
)  # fmt: skip


def name(value: str, *, field: str = "name") -> str:
    """A name used on hosts and in file names: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -.

    Returns it unchanged; raises Invalid naming `field`.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value:
        raise Invalid(
            N_("This name cannot be used."),
            field=field,
            fix=N_("Use 1 to 64 letters a-z, digits, “.”, “_” and “-”; begin with a letter, a digit or “_”."),
        )
    return value


def title(value: str, *, field: str = "title", longest: int = LONGEST_TITLE) -> str:
    """Free text on one line, of at most `longest` characters, without control or invisible ones; spaces around go."""
    return _text(value, field=field, longest=longest, allowed="")


def description(value: str, *, field: str = "description") -> str:
    """Free text of at most 10,000 characters; line breaks and tabs may stay."""
    return _text(value.replace("\r\n", "\n"), field=field, longest=LONGEST_TEXT, allowed="\n\t")


def _text(value: str, *, field: str, longest: int, allowed: str) -> str:
    value = value.strip()
    if len(value) > longest:
        raise Invalid(
            N_("This text is too long (%(length)s characters)."),
            field=field,
            fix=N_("Use at most %(longest)s characters."),
            length=len(value),
            longest=longest,
        )
    # Cc: control; Cf: zero-width and direction-changing; Cs, Co, Cn: not characters at all; Zl, Zp: odd line breaks
    if any(
        unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        for char in value
        if char not in allowed
    ):
        raise Invalid(
            N_("This text has control or invisible characters."),
            field=field,
            fix=N_("Type it again instead of pasting it."),
        )
    return value


def number(value: int, *, field: str, least: int, most: int) -> int:
    """A whole number in `least`..`most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(
            N_("This number is out of range."),
            field=field,
            fix=N_("Use a whole number from %(least)s to %(most)s."),
            least=least,
            most=most,
        )
    return value


def labels(values: Sequence[str], *, field: str = "labels") -> list[str]:
    """Labels for affinity groups: at most 32, each a name; sorted and without doubles."""
    if isinstance(values, str) or len(values) > MOST_LABELS:
        raise Invalid(N_("These are too many labels."), field=field, fix=N_("Use at most %(most)s."), most=MOST_LABELS)
    return sorted({name(one, field=field) for one in values})


def directory(value: str, *, field: str = "path") -> str:
    """An absolute, normalised directory that is no part of the system's own."""
    safe = value.startswith("/") and not value.startswith("//") and posixpath.normpath(value) == value
    if not safe or len(value) > 255 or not value.isprintable() or any(char in value for char in ",'\"<>&\\"):
        raise Invalid(
            N_("This is not a usable directory path."),
            field=field,
            fix=N_("Give an absolute path without “..”, quotes or a slash at its end, e.g. /srv/berth."),
        )
    if value in ("/", "/var", "/home") or any(within(value, system) for system in _SYSTEM_DIRECTORIES):
        raise Invalid(
            N_("%(path)s belongs to the system."),
            field=field,
            fix=N_("Choose a directory of its own, e.g. /srv/berth."),
            path=value,
        )
    return value


def within(path: str, parent: str) -> bool:
    """Whether the normalised `path` is `parent` or lies below it."""
    return path == parent or path.startswith(parent.rstrip("/") + "/")


def bridge(value: str, *, field: str = "bridge") -> str:
    """The name of a network interface: up to 15 characters (IFNAMSIZ), none that a shell or path minds."""
    if not _BRIDGE.fullmatch(value):
        raise Invalid(
            N_("This cannot be the name of a bridge."),
            field=field,
            fix=N_("Use up to 15 letters, digits, “.”, “_” and “-”, e.g. br0."),
        )
    return value


def subnet(value: str, *, field: str = "subnet") -> ipaddress.IPv4Network:
    """A private IPv4 network of 8 to 2^16 addresses in CIDR form."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        network = None
    if (
        network is None
        or not network.is_private
        or network.is_loopback
        or network.is_link_local
        or not 16 <= network.prefixlen <= 29
    ):
        raise Invalid(
            N_("This is not a private IPv4 network."),
            field=field,
            fix=N_("Write it like 192.168.120.0/24, with a length from /16 to /29."),
        )
    return network


def mac(value: str, *, field: str = "mac") -> str:
    """The address of one network card: six octets, of a single machine (not of a group)."""
    if not _MAC.fullmatch(value) or int(value[:2], 16) & 1 or not value.strip("0:"):
        raise Invalid(
            N_("This is not the address of a network card."),
            field=field,
            fix=N_("Write it like 52:54:00:12:34:56."),
        )
    return value.lower()


def host_uri(value: str, *, field: str = "uri") -> str:
    """Where a host's driver connects to. Words that would make libvirt run a command are refused."""
    try:
        parts = urlsplit(value)
        words = {word for word, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        parts, words = None, set()
    clean = value.isascii() and value.isprintable() and len(value) <= 255 and " " not in value
    if (
        parts is None
        or not clean
        or not _dialable(parts)
        or not _SCHEME.fullmatch(parts.scheme)
        or "://" not in value
        or words - _URI_WORDS
        or parts.password
    ):
        raise Invalid(
            N_("This is not an address of a host."),
            field=field,
            fix=N_(
                "Write it like qemu:///system, qemu+tls://host.example.org/system or qemu+ssh://root@host.example.org/system."
            ),
        )
    return value


def _dialable(parts: SplitResult) -> bool:
    """Whether nothing in the place of a server or an account could be an option of a command."""
    if not parts.scheme.endswith("+ssh"):
        return True
    try:
        server(parts.hostname or "-")
        return _ACCOUNT.fullmatch(parts.username or "root") is not None and parts.port != 0
    except (ValueError, Invalid):  # the one is of the port
        return False


def server(value: str, *, field: str = "server") -> str:
    """A host name or IP address, as a mount command takes it; what it could take for an option is refused."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if len(value) > 253 or not _SERVER.fullmatch(value):
        raise Invalid(
            N_("This is neither a host name nor an IP address."),
            field=field,
            fix=N_("Write it like nas.example.org or 192.0.2.10."),
        )
    return value.lower()


def portal(value: str, *, field: str = "server") -> str:
    """A portal: a host name or IP address, and a port if it is not the usual one."""
    host, port = value, ""
    if value.startswith("["):
        host, _, rest = value[1:].partition("]")
        port = rest.removeprefix(":")
    elif value.count(":") == 1:
        host, _, port = value.partition(":")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise Invalid(
            N_("This is not a port."), field=field, fix=N_("Give a number from 1 to 65535, or leave it out for 3260.")
        )
    host = server(host, field=field)
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{int(port)}" if port else shown


def iqn(value: str, *, field: str = "export") -> str:
    """The name of an iSCSI target (RFC 7143), as tools and documents of all kinds take it."""
    if not _IQN.fullmatch(value):
        raise Invalid(
            N_("This is not the name of an iSCSI target."), field=field,
            fix=N_("Write it like iqn.2026-01.org.example:store."),
        )  # fmt: skip
    return value


def export(value: str, *, field: str = "export") -> str:
    """The path of a directory that an NFS server exports."""
    safe = value.startswith("/") and not value.startswith("//") and posixpath.normpath(value) == value
    if not safe or len(value) > 255 or not value.isprintable() or any(char in value for char in " ,:'\"<>&\\"):
        raise Invalid(
            N_("This is not the path of an export."),
            field=field,
            fix=N_("Give the server's path without spaces, “..” or a slash at its end, e.g. /export/vms."),
        )
    return value
