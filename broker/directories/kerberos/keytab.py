"""Keytabs: read what an administrator uploads, keep of it only the keys of our own service, sealed in the row.

The format is MIT's, version 2 (https://web.mit.edu/kerberos/krb5-devel/doc/formats/keytab_file_format.html), which
ktutil, kadmin, ktpass of Windows, ipa-getkeytab and samba-tool write.
"""

import base64
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from broker.core.errors import Invalid, Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory

LARGEST = 32 << 10
"""Bytes; a key takes some hundred."""
_VERSION = b"\x05\x02"
_SEALER = Sealer("directory keytab")
_BROKEN_CIPHERS = frozenset({1, 2, 3, 5, 7, 16})
"""Single and triple DES (RFC 6649, RFC 8429): KDCs of today give no tickets for such keys."""
RC4 = frozenset({23, 24})
CIPHERS = {17: "AES-128", 18: "AES-256", 19: "AES-128 (SHA-2)", 20: "AES-256 (SHA-2)", 23: "RC4", 24: "RC4"}
"""Numbers of IANA's “Kerberos Encryption Type Numbers”, and what people call them."""


@dataclass(frozen=True, slots=True)
class Key:
    """What may be told of a key: whose it is (HTTP/berth.example.org@EXAMPLE.ORG), its number, and its cipher's."""

    principal: str
    number: int
    cipher: int

    @property
    def cipher_name(self) -> str:
        return CIPHERS.get(self.cipher, str(self.cipher))


class _NoKeytab(ValueError):
    """The bytes are no keytab."""


def keys_in(content: bytes) -> list[Key]:
    """What keys there are; nothing when it cannot be read."""
    try:
        return [key for key, _ in _entries(content)]
    except _NoKeytab:
        return []


def checked(content: bytes, service: str) -> bytes:
    """A keytab with only those keys of `content` that are of `service`. Raises Invalid for `keytab`.

    `service` is HTTP/berth.example.org with or without @REALM; "" takes all that begin with HTTP/.
    """
    if len(content) > LARGEST:
        raise Invalid(N_("This is too large for a keytab."), field="keytab", fix=_HOW)
    try:
        entries = list(_entries(content))
    except _NoKeytab:
        raise Invalid(N_("This is no keytab."), field="keytab", fix=_HOW) from None
    ours = [entry for key, entry in entries if _is_of(key, service) and key.cipher not in _BROKEN_CIPHERS]
    if not ours:
        raise Invalid(
            N_("The keytab has no key of %(service)s that can be used. It has keys of: %(present)s."),
            field="keytab",
            fix=_HOW,
            service=service or "HTTP/…",
            present=", ".join(sorted({key.principal for key, _ in entries}))[:300] or "–",
        )
    return _VERSION + b"".join(struct.pack(">i", len(entry)) + entry for entry in ours)


def kept_for(content: bytes | None, kept: str, *, service: str, needed: bool) -> str:
    """The row's `keytab` for what was uploaded: None leaves what is `kept`, b"" forgets it.

    `needed`: there has to be one, with a key of the service. Raises Invalid for `keytab`.
    """
    if content is None and not needed:
        return kept
    if content is None and kept:
        try:
            checked(base64.b64decode(_SEALER.open(kept)), service)
        except CannotOpen:
            raise Invalid(
                N_("The keytab cannot be read any more: the secret key of Berth was changed."),
                field="keytab",
                fix=N_("Upload it again."),
            ) from None
        return kept
    if content:
        return _SEALER.seal(base64.b64encode(checked(content, service)).decode())
    if needed:
        raise Invalid(N_("Tickets cannot be read without a keytab."), field="keytab", fix=_HOW)
    return ""


def opened(directory: Directory) -> bytes:
    """The keytab of the row, b"" without one. Raises Unavailable when it was sealed with another key of ours."""
    try:
        return base64.b64decode(_SEALER.open(directory.keytab))
    except CannotOpen:
        raise Unavailable(
            N_("The keytab of %(directory)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("An administrator has to upload it again."),
            rule="directory.answers",
            directory=directory.name,
        ) from None


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """The name of a keytab for the Kerberos library, which only takes files: one that is in no file system."""
    place = os.memfd_create("keytab")
    try:
        os.write(place, content)
        yield f"FILE:/proc/self/fd/{place}"
    finally:
        os.close(place)


def _entries(content: bytes) -> Iterator[tuple[Key, bytes]]:
    """Each key with its own bytes, as they are in the keytab. Raises _NoKeytab."""
    if content[:2] != _VERSION:
        raise _NoKeytab
    at = 2
    while at < len(content):
        (length,) = _unpacked(">i", content, at)
        at += 4
        entry = content[at : at + abs(length)]
        if length == 0 or len(entry) != abs(length):
            raise _NoKeytab
        if length > 0:  # else a hole, left by a key that was removed
            yield _key(entry), entry
        at += abs(length)


def _key(entry: bytes) -> Key:
    (count,) = _unpacked(">H", entry, 0)
    realm, at = _counted(entry, 2)
    parts = []
    for _ in range(count):
        part, at = _counted(entry, at)
        parts.append(part)
    _, _, number, cipher = _unpacked(">IIBH", entry, at)
    _, at = _counted(entry, at + 11)
    if len(entry) - at >= 4:  # the number in full, where eight bits are not enough
        (longer,) = _unpacked(">I", entry, at)
        number = longer or number
    return Key(f"{_joined(parts)}@{realm}", number, cipher)


def _counted(entry: bytes, at: int) -> tuple[str, int]:
    """A text that begins with its length, and where it ends."""
    (length,) = _unpacked(">H", entry, at)
    text = entry[at + 2 : at + 2 + length]
    if len(text) != length:
        raise _NoKeytab
    return text.decode("utf-8", "replace"), at + 2 + length


def _unpacked(form: str, content: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, content, at)
    except struct.error:
        raise _NoKeytab from None


def _joined(parts: Sequence[str]) -> str:
    return "/".join(part if part.isprintable() else "?" for part in parts)


def _is_of(key: Key, service: str) -> bool:
    if not service:
        return key.principal.startswith("HTTP/")
    return key.principal == service if "@" in service else key.principal.rpartition("@")[0] == service


_HOW = N_("Export one for HTTP/ and the name in Berth's address: with kadmin, ktpass, ipa-getkeytab or samba-tool.")
