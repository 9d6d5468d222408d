"""The times of a pool as forms: rows of a schedule, and of opening hours."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext_lazy as _

from pools.calendar import MOST_RULES
from pools.models import Pool
from pools.models.pool import LARGEST

from .forms import StyledForm

TIME = "%H:%M"


class WindowForm(StyledForm):
    """A run of local time on certain weekdays."""

    days = forms.TypedMultipleChoiceField(
        label=_("Days"), choices=[(day, name) for day, name in sorted(WEEKDAYS_ABBR.items())], coerce=int,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    start = forms.TimeField(label=_("From"), widget=forms.TimeInput(attrs={"type": "time"}, format=TIME))
    end = forms.TimeField(label=_("To"), widget=forms.TimeInput(attrs={"type": "time"}, format=TIME))
    zone = forms.CharField(
        label=_("Time zone"), max_length=64, widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"})
    )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["days"].widget.attrs["class"] = "form-check-input"
        if self.is_bound and self.empty_permitted and not self._filled():
            for field in self.fields.values():
                field.required = False

    def _filled(self) -> bool:
        return any(self.data.get(self.add_prefix(name)) for name in ("days", "start", "end"))

    def row(self) -> dict[str, Any] | None:
        """As the pool keeps it; None for a row left empty or to be removed."""
        values = self.cleaned_data
        if values.get("DELETE") or not values.get("start") or not values.get("days"):
            return None
        given: dict[str, Any] = {name: values[name] for name in ("size", "prestarted", "suspended") if name in values}
        return {
            "days": values["days"], "start": values["start"].strftime(TIME), "end": values["end"].strftime(TIME),
            "zone": values["zone"], **given,
        }  # fmt: skip


class RuleForm(WindowForm):
    """Other numbers during that time; what is left empty stays the pool's own."""

    size = forms.IntegerField(label=_("Size"), min_value=0, max_value=LARGEST, required=False)
    prestarted = forms.IntegerField(label=_("Running"), min_value=0, max_value=LARGEST, required=False)
    suspended = forms.IntegerField(label=_("Suspended"), min_value=0, max_value=LARGEST, required=False)


class TimesForm:
    """Both lists of one pool, with the revision its editor saw."""

    def __init__(self, pool: Pool, data: Mapping[str, Any] | None = None):
        self.pool = pool
        options = {"extra": 2, "can_delete": True, "max_num": MOST_RULES, "absolute_max": MOST_RULES + 10}
        self.schedule = forms.formset_factory(RuleForm, **options)(  # type: ignore[arg-type]
            data, prefix="schedule", initial=_initial(pool.schedule, pool)
        )
        self.hours = forms.formset_factory(WindowForm, **options)(  # type: ignore[arg-type]
            data, prefix="hours", initial=_initial(pool.hours, pool)
        )
        for row in (*self.schedule.extra_forms, *self.hours.extra_forms):
            row.fields["zone"].initial = pool.zone
        given = (data or {}).get("revision", "")
        self.revision = int(given) if str(given).isdigit() else pool.revision

    def is_valid(self) -> bool:
        return all([self.schedule.is_valid(), self.hours.is_valid()])

    def changes(self) -> dict[str, Any]:
        """For `edit_pool`."""
        return {
            "schedule": [row for form in self.schedule if (row := form.row())],
            "hours": [row for form in self.hours if (row := form.row())],
            "revision": self.revision,
        }


def _initial(rows: Sequence[Mapping[str, Any]], pool: Pool) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
