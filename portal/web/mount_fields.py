"""The fields of how hosts mount an NFS share, for forms that make or change a storage."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from broker.core.tables import complete
from broker.virt.nfs_options import OPTIONS

from .forms import dressed

PREFIX = "mount_"


def add(form: forms.Form, stored: Mapping[str, Any]) -> None:
    values = complete(OPTIONS, stored)
    for one in OPTIONS:
        words: dict[str, Any] = {
            "label": _(one.title), "help_text": _(one.help) if one.help else "", "required": False,
            "initial": values[one.name],
        }  # fmt: skip
        if isinstance(one.default, bool):
            field: forms.Field = forms.BooleanField(**words)
        else:
            field = forms.IntegerField(min_value=one.least, max_value=one.most, **words)
        form.fields[PREFIX + one.name] = dressed(field)


def take(values: dict[str, Any]) -> dict[str, Any]:
    """What was chosen, taken out of the form's values: an empty number is as usual."""
    found = {one.name: values.pop(PREFIX + one.name, None) for one in OPTIONS}
    return {one.name: found[one.name] for one in OPTIONS if found[one.name] not in (None, one.default)}
