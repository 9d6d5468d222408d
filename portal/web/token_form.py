"""The form of a new API token: what it is for, how long, and what it may do of all that its person may."""

from typing import Any
from uuid import UUID

from django import forms
from django.db import models
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.require import visible_to
from broker.access.scope import OWN
from broker.access.verbs import VERBS
from broker.virt.models import VirtualMachine

from .access_forms import verb_options
from .access_page import GROUPS, KIND_WORDS
from .forms import StyledForm

PLACES = ("cluster", "pool", "meta-pool")
"""What is offered as a list; machines, of which there may be many, are typed, and the API takes all kinds."""
MOST = 200
EVERYTHING, READING, SOME = "everything", "reading", "some"


class TokenForm(StyledForm):
    """`values()` is what create_token takes."""

    name = forms.CharField(label=_("What it is for"), max_length=64)
    days = forms.IntegerField(label=_("Days it is good for"), min_value=1, max_value=365, initial=90)
    may = forms.ChoiceField(
        label=_("It may do"), initial=EVERYTHING,
        choices=[
            (EVERYTHING, _("everything that you may")), (READING, _("only read what you may see")),
            (SOME, _("only what is ticked below")),
        ],
    )  # fmt: skip
    places = forms.MultipleChoiceField(
        label=_("Only on these"), required=False, widget=forms.SelectMultiple(attrs={"size": 4}),
        help_text=_("And what belongs to them. Without a choice here and beside: everywhere."),
    )  # fmt: skip
    machines = forms.CharField(
        label=_("Only on these machines"), required=False, max_length=2000,
        help_text=_("Their names, with commas between."),
    )  # fmt: skip
    networks = forms.CharField(
        label=_("Only from these networks"), required=False, max_length=1000,
        help_text=_("As 192.0.2.0/24 or 2001:db8::/32, with commas between."),
    )  # fmt: skip
    verbs = forms.MultipleChoiceField(label=_("Rights"), required=False)

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.actor = actor
        self._offer("verbs", _verbs(actor))
        self._offer("places", _places(actor))

    def _offer(self, name: str, choices: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices

    @property
    def verb_groups(self) -> list[dict[str, Any]]:
        """The check boxes as the template draws them."""
        return verb_options(self)

    @property
    def narrowed(self) -> bool:
        """Whether what narrows is to be shown open: something of it was sent."""
        return self.is_bound and any(self[name].value() for name in ("places", "machines", "networks", "verbs"))

    def clean_machines(self) -> list[models.Model]:
        names = list(dict.fromkeys(_split(self.cleaned_data["machines"])))
        found: dict[str, list[models.Model]] = {name: [] for name in names}
        for row in visible_to(self.actor, VirtualMachine.objects.filter(name__in=names))[: 2 * len(names) + 1]:
            found[row.name].append(row)
        for name, rows in found.items():
            if len(rows) != 1:
                text = _("There is no machine %(name)s.") if not rows else _("Several machines are called %(name)s.")
                raise forms.ValidationError(text, params={"name": name})
        return [rows[0] for rows in found.values()]

    def clean_places(self) -> list[models.Model]:
        chosen = [one.partition(":") for one in self.cleaned_data["places"]]
        return [
            row
            for kind in PLACES
            if (ids := [UUID(pk) for name, _colon, pk in chosen if name == kind])
            for row in KINDS.get(kind).model._default_manager.filter(pk__in=ids)
        ]

    def values(self) -> dict[str, Any]:
        told = self.cleaned_data
        return {
            "name": told["name"], "days": told["days"], "read_only": told["may"] == READING,
            "verbs": told["verbs"] if told["may"] == SOME else None,
            "objects": [*told["places"], *told["machines"]], "networks": _split(told["networks"]),
        }  # fmt: skip


def _split(text: str) -> list[str]:
    return [one.strip() for one in text.replace("\0", "").replace("\n", ",").split(",") if one.strip()]


def _places(actor: Actor) -> list[tuple[str, list[tuple[str, str]]]]:
    """By kind, what the actor sees: one query a kind."""
    found = []
    for kind in PLACES:
        rows = visible_to(actor, KINDS.get(kind).model)[:MOST]
        if options := [(f"{kind}:{row.pk}", str(row)) for row in rows]:
            found.append((str(KIND_WORDS[kind]), options))
    return found


def _verbs(actor: Actor) -> list[tuple[str, list[tuple[str, str]]]]:
    """The rights that the actor has on anything, by kind, and those everybody has on what is their own."""
    lent = {verb for kind in KINDS for verb in kind.owner_verbs}
    mine = [verb for verb in VERBS if verb in lent or actor.held(verb)]
    named = {kind for _label, kinds in GROUPS for kind in kinds}
    rest = tuple(dict.fromkeys(kind for verb in mine if (kind := verb.partition(".")[0]) not in named))
    found = []
    for label, kinds in (*GROUPS, (_now("Other"), rest)):
        if options := [(verb, _now(VERBS[verb])) for verb in mine if verb.partition(".")[0] in kinds]:
            found.append((str(label), options))
    return [*found, (_now("What is your own"), [(verb, _now(words)) for verb, words in OWN.items()])]
