"""What waits for a machine's next start, in words."""

from typing import Any

from django.utils.translation import gettext as _

from broker.core.text import gettext_noop as N_
from broker.virt.machine_options import KNOWN
from broker.virt.models import Guard
from broker.virt.pending import Difference
from portal.middleware import sentence

CARD = {
    "network": N_("network"), "model": N_("model"), "guard": N_("sends as"), "in_kib": N_("KiB/s in"),
    "out_kib": N_("KiB/s out"),
}  # fmt: skip


def value_of(one: Difference, value: Any) -> str:
    """One side of the diff."""
    if one.nic is not None:
        return _card(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    choices = dict(KNOWN[one.field].choices) if one.field in KNOWN else {}
    return _(choices[value]) if value in choices else str(value)


def _card(value: Any) -> str:
    if value is None:
        return _("not there")
    guards = dict(Guard.choices)
    parts = [
        f"{_(CARD[name])}: {_(guards[one]) if name == 'guard' else one}"
        for name, one in value.items()
        if name in CARD and one not in ("", 0)
    ]
    if "connected" in value:
        parts.append(_("cable in") if value["connected"] else _("cable out"))
    return ", ".join(parts) or _("there")


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
