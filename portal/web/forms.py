"""Forms: they check what can be checked without the rules; the actions have the last word."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import BerthError, Invalid
from broker.virt.models import Cluster, Network, StorageDomain, TemplateVersion, VmTemplate
from pools.models import Pool
from pools.models.pool import LARGEST

from .parts import error_sentences


class StyledForm(forms.Form):
    """Fields with the theme's classes, tied to their help and errors for screen readers."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput):
                widget.attrs.setdefault("class", "form-check-input")
            elif isinstance(widget, forms.Select):
                widget.attrs.setdefault("class", "form-select")
            else:
                widget.attrs.setdefault("class", "form-control")

    def refuse(self, error: BerthError) -> None:
        """Show an action's refusal at the field it names, or above the form."""
        cause, fix = error_sentences(error)
        field = error.field if isinstance(error, Invalid) and error.field in self.fields else None
        self.add_error(field, f"{cause} {fix}".strip())


class PoolForm(StyledForm):
    """A pool's settings. With `pool` it edits: the name, cluster, template and storage stay as they are."""

    name = forms.SlugField(label=_("Short name"), max_length=40, help_text=_("For addresses and the API: letters, digits, hyphens."))
    title = forms.CharField(label=_("Title"), max_length=128, help_text=_("What users read on the card."))
    description = forms.CharField(label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    template = forms.ModelChoiceField(label=_("Template"), queryset=VmTemplate.objects.none())
    version = forms.ModelChoiceField(
        label=_("Version"), queryset=TemplateVersion.objects.none(), required=False, empty_label=_("always the newest")
    )
    cluster = forms.ModelChoiceField(label=_("Cluster"), queryset=Cluster.objects.none())
    storage = forms.ModelChoiceField(label=_("Storage"), queryset=StorageDomain.objects.none())
    network = forms.ModelChoiceField(label=_("Network"), queryset=Network.objects.none(), required=False, empty_label=_("none"))
    kind = forms.ChoiceField(label=_("Kind"), choices=Pool.Kind.choices)
    stateful = forms.BooleanField(
        label=_("Keep what users change"), required=False, help_text=_("Without it a desktop is reset when it is given back.")
    )
    size = forms.IntegerField(label=_("Size"), min_value=0, max_value=LARGEST, initial=3, help_text=_("How many desktops there are."))
    prestarted = forms.IntegerField(
        label=_("Kept running"), min_value=0, max_value=LARGEST, initial=1,
        help_text=_("How many free desktops run and wait, so that connecting is instant."),
    )  # fmt: skip
    max_per_user = forms.IntegerField(label=_("Most for one user"), min_value=1, max_value=100, initial=1)
    name_pattern = forms.CharField(
        label=_("Names of desktops"), max_length=48, required=False,
        help_text=_("A # stands for a digit of the number: dev-### makes dev-001. Empty: made from the short name."),
    )  # fmt: skip

    FIXED = ("name", "cluster", "template", "storage", "kind")

    def __init__(self, *args: Any, actor: Actor, pool: Pool | None = None, **kwargs: Any):
        if pool:
            kwargs["initial"] = {name: getattr(pool, name) for name in self.base_fields}
        super().__init__(*args, **kwargs)
        choices: dict[str, Any] = {
            "template": visible_to(actor, VmTemplate),
            "version": visible_to(actor, TemplateVersion).filter(state="ready").select_related("template"),
            "cluster": visible_to(actor, Cluster),
            "storage": visible_to(actor, StorageDomain),
            "network": visible_to(actor, Network),
        }
        for name, queryset in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = queryset
            if not pool and field.required and len(first := list(queryset[:2])) == 1:
                field.initial = first[0].pk
        if pool:
            for name in self.FIXED:
                del self.fields[name]
