"""The hardware of a machine that is to be made, as fields of a form: one left empty is as usual."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.core.tables import Setting
from broker.virt.machine_options import OPTIONS, TOPOLOGY

GRAPHICS = (
    ("vnc", gettext_lazy("VNC")), ("spice", gettext_lazy("SPICE")), ("vnc,spice", gettext_lazy("VNC and SPICE")),
)  # fmt: skip
NAMES = ("graphics", *(one.name for one in OPTIONS))
_USUAL = ("", gettext_lazy("as usual"))
_SWITCH = (_USUAL, ("yes", gettext_lazy("yes")), ("no", gettext_lazy("no")))


def option_fields() -> Iterator[tuple[str, forms.Field]]:
    """Its screens, and each option of the table."""
    yield "graphics", forms.ChoiceField(label=_("Screen"), choices=(_USUAL, *GRAPHICS), required=False)
    for one in OPTIONS:
        yield one.name, _field(one)


def _field(one: Setting) -> forms.Field:
    words: dict[str, Any] = {"label": _(one.title), "help_text": _(one.help) if one.help else "", "required": False}
    if isinstance(one.default, bool):
        return forms.ChoiceField(choices=_SWITCH, **words)
    if isinstance(one.default, int):
        return forms.IntegerField(min_value=one.least, max_value=one.most, **words)
    if one.choices:
        return forms.ChoiceField(choices=[_USUAL, *((value, _(label)) for value, label in one.choices)], **words)
    return forms.CharField(max_length=64, **words)


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """Taken out of a form's values: `graphics` and `options` as the action takes them, where something was chosen."""
    graphics = values.pop("graphics")
    given = {one.name: _value(one, values.pop(one.name)) for one in OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    if not options.keys().isdisjoint(TOPOLOGY):
        options |= {name: options.get(name, 1) for name in TOPOLOGY}
    return {"graphics": graphics.split(",") if graphics else None, "options": options or None}


def _value(one: Setting, given: Any) -> Any:
    if given in (None, ""):
        return None
    return given == "yes" if isinstance(one.default, bool) else given


def graphics_of(kinds: Mapping[str, Any] | list[str]) -> str:
    """A machine's screens as a choice of the field."""
    return ",".join(kind for kind in ("vnc", "spice") if kind in kinds)
