"""What waits for a machine's next start, in words."""

from typing import Any

from django.utils.translation import gettext as _

from broker.core.text import gettext_noop as N_
from broker.virt.machine_options import KNOWN
from broker.virt.models import Disk, Guard
from broker.virt.pending import Difference
from portal.middleware import sentence

PARTS = {
    "nics": {
        "network": N_("network"), "model": N_("model"), "guard": N_("sends as"), "in_kib": N_("KiB/s in"),
        "out_kib": N_("KiB/s out"),
    },
    "disks": {"discard": N_("discard"), "detect_zeroes": N_("blocks of zeroes")},
}  # fmt: skip
_WORDS: dict[str, dict[Any, Any]] = {
    "guard": dict(Guard.choices), "discard": dict(Disk.Discard.choices), "detect_zeroes": dict(Disk.Zeroes.choices)
}  # fmt: skip


def value_of(one: Difference, value: Any) -> str:
    """One side of the diff."""
    if one.kind:
        return _part(one.kind, value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    choices = dict(KNOWN[one.field].choices) if one.field in KNOWN else {}
    return _(choices[value]) if value in choices else str(value) or _("none")


def _part(kind: str, value: Any) -> str:
    """One side of a part: None is not there."""
    if value is None:
        return _("not there")
    names = PARTS.get(kind, {})
    parts = [
        f"{_(names[name])}: {_(_WORDS[name][one]) if name in _WORDS else one}"
        for name, one in value.items()
        if name in names and one not in ("", 0)
    ]
    if "connected" in value:
        parts.append(_("cable in") if value["connected"] else _("cable out"))
    if "read_only" in value:
        parts.append(_("read-only") if value["read_only"] else _("written to"))
    return ", ".join(parts) or (_("there") if kind != "disks" else _("as the host likes"))


def cause_of(one: Difference) -> str:
    """Why its run does not have it; empty when it was not tried."""
    if not one.reason:
        return ""
    params = one.reason.get("params") or {}
    return " ".join(
        filter(None, (sentence(one.reason[name], params) for name in ("message", "fix") if one.reason[name]))
    )


def summary(lines: list[Difference]) -> str:
    """The diff in one sentence."""
    return ", ".join(f"{_(one.title)} {value_of(one, one.now)} → {value_of(one, one.then)}" for one in lines[:5]) + (
        " …" if len(lines) > 5 else ""
    )
