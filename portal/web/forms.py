"""Forms: they check what can be checked without the rules; the actions have the last word."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import BerthError, Invalid
from broker.virt.models import Cluster, Network, StorageDomain, TemplateVersion, VirtualMachine, VmTemplate
from pools.models import Pool
from pools.models.pool import LARGEST
from pools.physical import FIXED as FIXED_OF_PCS

from .parts import error_sentences


def dressed(field: forms.Field) -> forms.Field:
    """With the theme's class."""
    kinds = ((forms.CheckboxInput, "form-check-input"), (forms.Select, "form-select"))
    known = next((name for kind, name in kinds if isinstance(field.widget, kind)), "form-control")
    field.widget.attrs.setdefault("class", known)
    return field


class StyledForm(forms.Form):
    """Fields with the theme's classes, tied to their help and errors for screen readers."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            dressed(field)

    def refuse(self, error: BerthError) -> None:
        """Show an action's refusal at the field it names, or above the form."""
        self.refusal = error
        cause, fix = error_sentences(error)
        field = error.field if isinstance(error, Invalid) and error.field in self.fields else None
        self.add_error(field, f"{cause} {fix}".strip())


class PoolForm(StyledForm):
    """A pool's settings. With `pool` it edits: what FIXED names stays as it is."""

    name = forms.SlugField(
        label=_("Short name"), max_length=40, help_text=_("For addresses and the API: letters, digits, hyphens.")
    )
    title = forms.CharField(label=_("Title"), max_length=128, help_text=_("What users read on the card."))
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    template = forms.ModelChoiceField(
        label=_("Template"), queryset=VmTemplate.objects.none(), required=False,
        empty_label=_("none: physical PCs are handed out"),
    )  # fmt: skip
    cluster = forms.ModelChoiceField(
        label=_("Cluster of the PCs"), queryset=Cluster.objects.none(), required=False,
        help_text=_("Of a pool without a template only; its PCs are put in afterwards."),
    )  # fmt: skip
    version = forms.ModelChoiceField(
        label=_("Version"), queryset=TemplateVersion.objects.none(), required=False, empty_label=_("always the newest")
    )
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=_("for each the one with the most free space"),
    )  # fmt: skip
    network = forms.ModelChoiceField(
        label=_("Network"), queryset=Network.objects.none(), required=False, empty_label=_("none")
    )
    kind = forms.ChoiceField(label=_("Kind"), choices=Pool.Kind.choices)
    stateful = forms.BooleanField(
        label=_("Keep what users change"),
        required=False,
        help_text=_("Without it a desktop is reset when it is given back."),
    )
    size = forms.IntegerField(
        label=_("Size"), min_value=0, max_value=LARGEST, initial=3, help_text=_("How many desktops there are.")
    )
    prestarted = forms.IntegerField(
        label=_("Kept running"), min_value=0, max_value=LARGEST, initial=1,
        help_text=_("How many free desktops run and wait, so that connecting is instant."),
    )  # fmt: skip
    suspended = forms.IntegerField(
        label=_("Kept suspended"), min_value=0, max_value=LARGEST, initial=0, required=False,
        help_text=_("How many more free ones lie suspended on disk, awake in seconds."),
    )  # fmt: skip
    forecast = forms.BooleanField(
        label=_("Go by the forecast"), required=False,
        help_text=_("Keep as many running as the last weeks let expect, by weekday and hour."),
    )  # fmt: skip
    zone = forms.CharField(
        label=_("Time zone"), max_length=64, initial="UTC", required=False,
        help_text=_("Whose hours the forecast goes by, like Europe/Berlin."),
    )  # fmt: skip
    after_hours = forms.ChoiceField(
        label=_("When the pool closes"), choices=Pool.AfterHours.choices, required=False,
        help_text=_("Its hours are set on the pool's page, under Times."),
    )  # fmt: skip
    protected = forms.BooleanField(
        label=_("Protect against deletion"), required=False, help_text=_("Until this is taken away again.")
    )
    max_per_user = forms.IntegerField(label=_("Most for one user"), min_value=1, max_value=100, initial=1)
    name_pattern = forms.CharField(
        label=_("Names of desktops"), max_length=48, required=False,
        help_text=_("A # stands for a digit of the number: dev-### makes dev-001. Empty: made from the short name."),
    )  # fmt: skip

    revision = forms.IntegerField(widget=forms.HiddenInput)

    FIXED = ("name", "template", "cluster", "storage", "network")

    def __init__(self, *args: Any, actor: Actor, pool: Pool | None = None, **kwargs: Any):
        if pool:
            kwargs["initial"] = {name: getattr(pool, name) for name in self.base_fields}
        super().__init__(*args, **kwargs)
        choices: dict[str, Any] = {
            "template": visible_to(actor, VmTemplate, "template.use"),
            "cluster": visible_to(actor, Cluster, "pool.manage"),
            "version": visible_to(actor, TemplateVersion)
            .filter(state="ready", **({"template": pool.template_id} if pool else {}))
            .select_related("template"),
            "storage": visible_to(actor, StorageDomain),
            "network": visible_to(actor, Network),
        }
        for name, queryset in choices.items():
            offer(self, name, queryset)
        if not pool:
            del self.fields["revision"]
            return
        for name in (*self.FIXED, *((*FIXED_OF_PCS, "version") if pool.is_physical else ())):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """What was not sent stays as it is, or as a new pool has it."""
        values = super().clean() or self.cleaned_data
        for name in ("suspended", "zone", "after_hours"):
            if values.get(name) in (None, ""):
                values.pop(name, None)
        if "template" in self.fields and not values.get("template"):
            for name in (*FIXED_OF_PCS, "version", "storage", "network"):
                values.pop(name, None)
        return values


class MachineForm(StyledForm):
    """What can be changed of a machine."""

    title = forms.CharField(
        label=_("Title"), max_length=128, required=False, help_text=_("What users read on the card.")
    )
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    vcpus = forms.IntegerField(label=_("Processors"), min_value=1)
    memory_mib = forms.IntegerField(label=_("Memory in MiB"), min_value=64)
    protected = forms.BooleanField(
        label=_("Protect against deletion"), required=False, help_text=_("Until this is taken away again.")
    )

    def __init__(self, *args: Any, vm: VirtualMachine | None = None, **kwargs: Any):
        if vm:
            kwargs["initial"] = {name: getattr(vm, name) for name in self.base_fields}
        super().__init__(*args, **kwargs)


def offer(form: forms.Form, name: str, rows: Any) -> None:
    """Let a field choose from `rows`; when it must be chosen and there is one, it is chosen already."""
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows
    if field.required and len(only := list(rows[:2])) == 1:
        field.initial = only[0].pk
