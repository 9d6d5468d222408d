"""What was found on a storage and is not here yet; the notes come from outside and are believed in nothing."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .models import StorageDomain, TemplateVersion, VirtualMachine


@dataclass(frozen=True, slots=True)
class Found:
    """A machine or a template's version as the notes tell of it. `kind` is "vm" or "template-version"."""

    kind: str
    id: UUID
    name: str
    entry: dict[str, Any]


def on(storage: StorageDomain) -> list[Found]:
    """What could be imported from `storage`, versions first since machines may need them. Two queries."""
    told = storage.found if isinstance(storage.found, dict) else {}
    read = [
        *(_read("template-version", one) for one in _entries(told, "versions")),
        *(_read("vm", one) for one in _entries(told, "machines")),
    ]
    found = [one for one in read if one is not None]
    ids = [one.id for one in found]
    known = set(VirtualMachine.objects.filter(pk__in=ids).values_list("pk", flat=True))
    known |= set(TemplateVersion.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return [one for one in found if one.id not in known]


def _entries(told: dict[str, Any], name: str) -> list[Any]:
    entries = told.get(name)
    return entries if isinstance(entries, list) else []


def _read(kind: str, entry: Any) -> Found | None:
    try:
        row = entry["row"]
        name = row["name"] if kind == "vm" else f"{entry['template']['row']['name']} v{int(row['number'])}"
        return Found(kind, UUID(str(entry["id"])), str(name)[:80], entry)
    except (KeyError, TypeError, ValueError):
        return None
