"""What Berth notes down on a storage itself: which machines and templates lie there, and whose they are.

With it a storage can leave one Berth and be found by another, and no two Berths use the same storage unknowingly.
A note is one line (format, sequence, digest and length of what follows) and a JSON document. Two slots are written
in turn: whatever breaks off, the one before is whole.
"""

import hashlib
import hmac
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from .models import StorageDomain, TemplateVersion, VirtualMachine

MAGIC = "berth-notes 1"
ATTACHED, DETACHED = "attached", "detached"
_NOBODYS_NAMES = frozenset({"", "localhost", "127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - nothing is bound
_OURS_ALONE = frozenset({"state", "shutdown_asked_at", "power_state", "power_reason", "created_at"})


@dataclass(frozen=True, slots=True)
class Note:
    sequence: int
    document: dict[str, Any]


def installation() -> str:
    """Which Berth this is: the same for all its processes, and telling nothing of the secret it comes from."""
    return hmac.new(settings.SECRET_KEY.encode(), b"berth installation", hashlib.sha256).hexdigest()[:32]


def own_name() -> str:
    """What people call this Berth: its first public address, or where there is none its computer's name."""
    host = urlsplit(settings.ORIGINS[0]).hostname or ""
    return socket.gethostname() if host in _NOBODYS_NAMES else host


def foreign(document: Mapping[str, Any]) -> bool:
    """Whether another Berth wrote it."""
    return document.get("installation") != installation()


def held(document: Mapping[str, Any]) -> bool:
    """Whether another Berth says that the storage is its own."""
    return foreign(document) and document.get("state") == ATTACHED


def holder(document: Mapping[str, Any]) -> str:
    """Who wrote a note, in words for people, or nothing. What others wrote is not trusted to be short or harmless."""
    name = "".join(one for one in str(document.get("berth", ""))[:64] if one.isprintable())
    return name or str(document.get("installation", ""))[:8]


def describe(storage: StorageDomain, state: str = ATTACHED) -> dict[str, Any]:
    """The document for `storage`. A machine is on it when all its disks are; desktops belong to their pool."""
    elsewhere = VirtualMachine.objects.filter(disks__isnull=False).exclude(disks__storage=storage).values("pk")
    machines = (
        VirtualMachine.objects.filter(disks__storage=storage, desktop__isnull=True)
        .exclude(pk__in=elsewhere)
        .distinct()
        .order_by("pk")
        .prefetch_related("disks", "nics__network")
    )
    versions = storage.template_versions.filter(state="ready").select_related("template").order_by("pk")
    return {
        "installation": installation(),
        "berth": own_name(),
        "state": state,
        "storage": {"id": str(storage.pk), "name": storage.name},
        "machines": [_machine(vm) for vm in machines],
        "versions": [_version(version) for version in versions],
    }


def digest(document: dict[str, Any]) -> str:
    """Another one when something changed; on which computer it was noted does not matter."""
    told = {key: value for key, value in document.items() if key != "berth"}
    return hashlib.sha256(_text(told).encode()).hexdigest()


def seal(document: dict[str, Any], sequence: int) -> bytes:
    """The bytes of a note."""
    body = _text(document).encode()
    return f"{MAGIC} {sequence} {hashlib.sha256(body).hexdigest()} {len(body)}\n".encode() + body


def newest(slots: Iterable[bytes]) -> Note | None:
    """The latest whole note; what is torn, foreign or of another format does not count."""
    notes = [note for note in map(_unseal, slots) if note is not None]
    return max(notes, key=lambda note: note.sequence, default=None)


def _unseal(data: bytes) -> Note | None:
    head, _, rest = data.partition(b"\n")
    words = head.decode("ascii", "replace").split(" ")
    if len(words) != 5 or " ".join(words[:2]) != MAGIC or not words[2].isdecimal() or not words[4].isdecimal():
        return None
    body = rest[: int(words[4])]
    if hashlib.sha256(body).hexdigest() != words[3]:
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return Note(int(words[2]), document) if isinstance(document, dict) else None


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, cls=DjangoJSONEncoder, sort_keys=True, ensure_ascii=True)


def wished_columns(model: type[models.Model]) -> set[str]:
    """The columns that describe what is wanted of a row, without references to other rows."""
    return {
        field.name
        for field in model._meta.concrete_fields
        if field.editable and not field.is_relation and field.name not in _OURS_ALONE
    }


def _plain(row: models.Model) -> dict[str, Any]:
    return {column: getattr(row, column) for column in wished_columns(type(row))}


def _machine(vm: VirtualMachine) -> dict[str, Any]:
    return {
        "id": str(vm.pk),
        "row": _plain(vm),
        "version": str(vm.template_version_id) if vm.template_version_id else None,
        "disks": [{"id": str(disk.pk), "row": _plain(disk)} for disk in vm.disks.all()],
        "nics": [{"network": nic.network.name, "row": _plain(nic)} for nic in vm.nics.all()],
    }


def _version(version: TemplateVersion) -> dict[str, Any]:
    template = version.template
    return {
        "id": str(version.pk),
        "row": _plain(version),
        "template": {"id": str(template.pk), "row": _plain(template)},
    }
