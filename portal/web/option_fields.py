"""The hardware of a machine that is to be made, as fields of a form: one left empty is as usual."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.core.tables import Setting
from broker.virt.machine_options import KNOWN, OPTIONS, TOPOLOGY

GRAPHICS = (
    ("vnc", gettext_lazy("VNC")), ("spice", gettext_lazy("SPICE")), ("vnc,spice", gettext_lazy("VNC and SPICE")),
)  # fmt: skip
NEW = tuple(one for one in OPTIONS if one.name != "private_screens")  # Berth's own are on no port from the start
NAMES = ("graphics", *(one.name for one in NEW))
_SWITCH = (("yes", gettext_lazy("yes")), ("no", gettext_lazy("no")))


def option_fields() -> Iterator[tuple[str, forms.Field]]:
    """Its screens, and each option of the table that says something of a new machine."""
    yield "graphics", forms.ChoiceField(label=_("Screen"), choices=(("", _usual("VNC")), *GRAPHICS), required=False)
    for one in NEW:
        yield one.name, _field(one)


def _usual(word: str) -> str:
    return _("as the template has it, else %(usual)s") % {"usual": word}


def _field(one: Setting) -> forms.Field:
    words: dict[str, Any] = {"label": _(one.title), "help_text": _(one.help) if one.help else "", "required": False}
    if isinstance(one.default, bool):
        return forms.ChoiceField(choices=(("", _usual(_("yes") if one.default else _("no"))), *_SWITCH), **words)
    if isinstance(one.default, int):
        return forms.IntegerField(min_value=one.least, max_value=one.most, **words)
    if one.choices:
        labels = {value: _(label) for value, label in one.choices}
        return forms.ChoiceField(choices=[("", _usual(labels[str(one.default)])), *labels.items()], **words)
    return forms.CharField(max_length=one.longest or 64, **words)


def options_of(values: dict[str, Any]) -> dict[str, Any]:
    """Taken out of a form's values: the options in it that are not as usual."""
    given = {name: values.pop(name) for name in KNOWN.keys() & values.keys()}
    return {name: value for name, value in given.items() if value != KNOWN[name].default}


def told(options: Mapping[str, Any]) -> list[str]:
    """What is not as usual, in words."""
    found = []
    for one in OPTIONS:
        value = options.get(one.name, one.default)
        if value == one.default:
            continue
        if isinstance(value, bool):
            found.append(_(one.title) if value else _("%(title)s: no") % {"title": _(one.title)})
        else:
            # An adopted machine may have what Berth offers nobody.
            found.append(f"{_(one.title)}: {_(dict(one.choices).get(value, value)) if one.choices else value}")
    return found


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """Taken out of a form's values: `graphics` and `options` as the action takes them, where something was chosen."""
    graphics = values.pop("graphics")
    given = {one.name: _value(one, values.pop(one.name)) for one in NEW}
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
