"""The form of a pool's session rules. Times are in minutes here."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from pools.actions.set_session_rules import set_session_rules
from pools.models import Pool, SessionRules
from pools.models.session_rules import DO
from pools.session_rules import Act
from pools.session_sentence import sentence
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm

_MINUTES = ("leave_after", "then_after", "logoff_after", "idle_after", "longest", "warn_before", "extension")


def _acts(*left_out: Act) -> list[tuple[str, Any]]:
    return [(act.value, label) for act, label in DO if act not in left_out]


def _minutes(label: Any, *, help_text: Any = "", least: float = 0) -> forms.FloatField:
    return forms.FloatField(label=label, min_value=least, max_value=43200, help_text=help_text)


class RulesForm(StyledForm):
    """Fields are named as the action's."""

    leave = forms.ChoiceField(label=gettext_lazy("When the user leaves"), choices=_acts(Act.DISCONNECT))
    leave_after = _minutes(
        gettext_lazy("… after minutes"), help_text=gettext_lazy("Counted from the last screen closed.")
    )
    then = forms.ChoiceField(
        label=gettext_lazy("And then"), choices=_acts(Act.DISCONNECT),
        help_text=gettext_lazy("A second, harsher step for who does not come back."),
    )  # fmt: skip
    then_after = _minutes(gettext_lazy("… after minutes"), help_text=gettext_lazy("Also counted from leaving."))
    logoff = forms.ChoiceField(
        label=gettext_lazy("When the user logs out in the desktop"), choices=_acts(Act.LOCK, Act.LOG_OUT),
        help_text=gettext_lazy("Noticed through the guest agent."),
    )  # fmt: skip
    logoff_after = _minutes(gettext_lazy("… after minutes"))
    idle = forms.ChoiceField(label=gettext_lazy("Without a key or a click"), choices=_acts())
    idle_after = _minutes(gettext_lazy("… after minutes"), least=0.1)
    longest = _minutes(gettext_lazy("Longest session in minutes"), help_text=gettext_lazy("0: no limit."))
    longest_do = forms.ChoiceField(label=gettext_lazy("At its end"), choices=_acts(Act.NOTHING, Act.LOCK))
    warn_before = _minutes(gettext_lazy("Warn so many minutes before"))
    extension = _minutes(gettext_lazy("One click adds minutes"), least=0.1)
    extensions = forms.IntegerField(label=gettext_lazy("… so many times"), min_value=0, max_value=100)
    kept = forms.CharField(
        label=gettext_lazy("What is kept"), max_length=120, required=False,
        help_text=gettext_lazy("For the sentence the users read, e.g. “your files in D:”. Empty: what the pool does."),
    )  # fmt: skip


class EditRules(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        rules = SessionRules.objects.filter(pool=pool).first() or SessionRules(pool=pool)
        initial = {name: getattr(rules, name) for name in RulesForm.base_fields}
        initial |= {name: f"{getattr(rules, name) / 60:.4g}" for name in _MINUTES}
        return RulesForm(data, initial=initial)

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        seconds = {name: round(values[name] * 60) for name in _MINUTES}
        set_session_rules(actor=self.actor, pool=pool, **{**values, **seconds})
        return reverse("portal:pool", args=[pool.pk])

    def words(self, pk: Any) -> Mapping[str, Any]:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        return {
            "title": _("Session rules of %(pool)s") % {"pool": pool},
            "under": _("Now: %(sentence)s") % {"sentence": sentence(pool)},
            "submit": _("Save"),
            "back_url": reverse("portal:pool", args=[pool.pk]),
            "back_label": str(pool),
        }
