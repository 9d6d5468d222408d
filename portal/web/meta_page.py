"""A meta-pool as the management pages show it: its pools, who may use it, and its form."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.models import Grant
from broker.access.require import visible_to
from broker.core.errors import Invalid
from pools.meta import standings
from pools.models import MetaPool, Pool
from pools.models.meta_pool import MOST_MEMBERS

from . import words
from .forms import StyledForm, dressed
from .parts import Cell, Related, Row


class MetaPoolForm(StyledForm):
    """With `meta` it edits: the short name stays. The pools are chosen one by one, in their order."""

    name = forms.SlugField(
        label=_("Short name"), max_length=40, help_text=_("For addresses and the API: letters, digits, hyphens.")
    )
    title = forms.CharField(label=_("Title"), max_length=128, help_text=_("What users read on the card."))
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    policy = forms.ChoiceField(label=_("Which pool serves"), choices=MetaPool.Policy.choices)
    max_per_user = forms.IntegerField(
        label=_("Most for one user"), min_value=1, max_value=100, initial=1,
        help_text=_("Of all its pools together."),
    )  # fmt: skip
    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, actor: Actor, meta: MetaPool | None = None, **kwargs: Any):
        chosen = [one.pool for one in meta.members.select_related("pool").order_by("position", "pk")] if meta else []
        offered = Pool.objects.filter(pk__in=[pool.pk for pool in chosen]) | visible_to(actor, Pool, "pool.manage")
        if meta:
            kwargs["initial"] = {name: getattr(meta, name) for name in self.base_fields}
        super().__init__(*args, **kwargs)
        for number in range(1, MOST_MEMBERS + 1):
            self.fields[f"pool_{number}"] = _member(number, offered, chosen)
        if meta:
            del self.fields["name"]
        else:
            del self.fields["revision"]

    def clean(self) -> dict[str, Any]:
        """The pools as one list, in their order; an empty place among them is none."""
        values = super().clean() or self.cleaned_data
        places = [values.pop(f"pool_{number}", None) for number in range(1, MOST_MEMBERS + 1)]
        values["pools"] = [pool for pool in places if pool]
        return values

    def refuse(self, error: Any) -> None:
        """What is wrong with the pools is shown at the first."""
        if isinstance(error, Invalid) and error.field == "pools":
            error.field = "pool_1"
        super().refuse(error)


def _member(number: int, offered: QuerySet[Pool], chosen: list[Pool]) -> forms.Field:
    label = _now("Pool %(number)s") % {"number": number}
    first = number == 1
    field = forms.ModelChoiceField(
        label=label, queryset=offered, required=first, empty_label=None if first and chosen else "–",
        initial=chosen[number - 1].pk if number <= len(chosen) else None,
        help_text=_now("Pools that you manage, in the order in which they serve.") if first else "",
    )  # fmt: skip
    return dressed(field)


def members_of(actor: Actor, meta: MetaPool) -> Related:
    """The pools in the order in which they would be asked now: two queries."""
    rows = standings(meta)
    seen = set(
        visible_to(actor, Pool.objects.filter(pk__in=[one.pool.pk for one in rows])).values_list("pk", flat=True)
    )
    return Related(
        _("Pools, as they would be asked now"),
        [_("Pool"), _("State"), _("In use"), _("Free")],
        [
            Row(
                [
                    Cell(str(one.pool), url=reverse("portal:pool", args=[one.pool.pk])),
                    Cell(mark=words.POOL.get(one.pool.state, words.UNKNOWN)),
                    Cell(f"{one.taken} / {one.pool.size}", under=f"{one.percent} %"),
                    Cell(one.free),
                ]
                if one.pool.pk in seen
                else [Cell(_("a pool you do not see")), Cell("–"), Cell("–"), Cell("–")]
            )
            for one in rows
        ],
        _("It has no pools yet."),
    )


def entitled_to(meta: MetaPool) -> Related:
    """Who has a role on it: one query."""
    rows = Grant.objects.filter(object_kind="meta-pool", object_id=meta.pk).select_related("user", "group", "role")
    return Related(
        _("Who may use it"),
        [_("Name"), _("Role")],
        [Row([Cell(str(one.user or one.group)), Cell(_now(one.role.title))]) for one in rows],
        _("Nobody yet. Give roles on the page Permissions."),
    )
