"""The forms of roles and quotas."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.handing_out import lacking
from broker.access.models import Quota, Role
from broker.access.quota_values import LONGEST_GRACE, MOST
from broker.access.require import visible_to
from broker.access.roles import covers
from broker.access.verbs import VERBS
from broker.directories.models import Group, User
from broker.virt.models import Cluster

from .access_page import GROUPS
from .forms import StyledForm, offer


class EditRoleForm(StyledForm):
    """A right that the editor lacks is not offered; one that the role has by a pattern like vm.* stays a pattern."""

    title = forms.CharField(label=_("Title"), max_length=128, help_text=_("What people read."))
    verbs = forms.MultipleChoiceField(label=_("Rights"), required=False)

    def __init__(self, *args: Any, actor: Actor, role: Role | None = None, **kwargs: Any):
        if role is not None:
            kwargs["initial"] = {"title": role.title, "verbs": [*role.verbs, *_covered(role.verbs)]}
        super().__init__(*args, **kwargs)
        given = role.verbs if role is not None else ()
        field = self.fields["verbs"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = _offered(actor, given)

    @property
    def verb_groups(self) -> list[dict[str, Any]]:
        """The check boxes as the template draws them."""
        return verb_options(self)

    def clean_verbs(self) -> list[str]:
        """Without those that a chosen pattern includes anyway."""
        chosen: list[str] = self.cleaned_data["verbs"]
        patterns = [verb for verb in chosen if "*" in verb]
        return [verb for verb in chosen if "*" in verb or not covers(patterns, verb)]


def verb_options(form: forms.Form) -> list[dict[str, Any]]:
    """The choices of a form's field `verbs`, in their groups, each with whether it is chosen."""
    field = form.fields["verbs"]
    assert isinstance(field, forms.MultipleChoiceField)
    chosen = {str(value) for value in form["verbs"].value() or ()}
    groups: Any = field.choices
    return [
        {
            "label": label,
            "options": [{"value": verb, "label": words, "chosen": verb in chosen} for verb, words in options],
        }
        for label, options in groups
    ]


class RoleForm(EditRoleForm):
    name = forms.SlugField(
        label=_("Name"), max_length=50, help_text=_("For the API: letters, digits, hyphens. It stays.")
    )
    field_order = ("title", "name", "verbs")

    def __init__(self, *args: Any, actor: Actor, like: Role | None = None, **kwargs: Any):
        super().__init__(*args, actor=actor, role=like, **kwargs)
        if like is not None:
            self.initial["title"] = _now("Copy of %(role)s") % {"role": _now(like.title)}
            self.initial["name"] = f"{like.name}-copy"[:50]


def _covered(verbs: Sequence[str]) -> list[str]:
    return [verb for verb in VERBS if covers(list(verbs), verb)]


def _offered(actor: Actor, given: Sequence[str]) -> list[tuple[Any, list[tuple[str, str]]]]:
    """What may be put into a role, and what is in it already."""
    beyond = set(lacking(actor, [*VERBS, *_PATTERNS], None))
    offered = []
    patterns = [(verb, str(words)) for verb, words in _PATTERNS.items() if verb not in beyond or verb in given]
    if patterns:
        offered.append((_now("Many at once, and what will be added to them"), patterns))
    named = {kind for _label, kinds in GROUPS for kind in kinds}
    rest = tuple(dict.fromkeys(kind for verb in VERBS if (kind := verb.partition(".")[0]) not in named))
    for label, kinds in (*GROUPS, *(((_now("Other"), rest),) if rest else ())):
        rows = [
            (verb, _now(words))
            for kind in kinds
            for verb, words in VERBS.items()
            if verb.startswith(f"{kind}.") and (verb not in beyond or verb in given)
        ]
        if rows:
            offered.append((str(label), rows))
    return offered


_PATTERNS = {
    "*": _("everything"),
    "*.view": _("see everything"),
    "vm.*": _("all about machines"),
    "pool.*": _("all about pools"),
    "meta-pool.*": _("all about meta-pools"),
    "template.*": _("all about templates"),
    "host.*": _("all about hosts"),
    "storage.*": _("all about storage"),
    "network.*": _("all about networks"),
    "cluster.*": _("all about clusters"),
    "quota.*": _("all about quotas"),
}


class QuotaForm(StyledForm):
    """The limits; empty is no limit."""

    mode = forms.ChoiceField(
        label=_("Mode"), choices=Quota.Mode.choices, initial=Quota.Mode.ENFORCED,
        help_text=_("Only watched: nothing is refused, what goes over is written into the events."),
    )  # fmt: skip
    running = forms.IntegerField(label=_("Running machines"), min_value=0, max_value=MOST, required=False)
    vcpus = forms.IntegerField(
        label=_("Processors"), min_value=0, max_value=MOST, required=False, help_text=_("Of running machines.")
    )
    memory_mib = forms.IntegerField(
        label=_("Memory in MiB"), min_value=0, max_value=MOST, required=False, help_text=_("Of running machines.")
    )
    machines = forms.IntegerField(
        label=_("Machines"), min_value=0, max_value=MOST, required=False,
        help_text=_("A pool's desktops count for its cluster, not for who has them."),
    )  # fmt: skip
    disk_gib = forms.IntegerField(
        label=_("Disk in GiB"), min_value=0, max_value=MOST, required=False, help_text=_("At the size the guest sees.")
    )
    threshold_percent = forms.IntegerField(
        label=_("Warn from, in percent"), min_value=0, max_value=100, initial=80,
        help_text=_("An event is written when use goes over it."),
    )  # fmt: skip
    grace_percent = forms.IntegerField(
        label=_("Let through over it, in percent"), min_value=0, max_value=1000, initial=0,
        help_text=_("So much more than a limit is still allowed, with an event."),
    )  # fmt: skip
    grace_hours = forms.IntegerField(
        label=_("For so long, in hours"), min_value=1, max_value=LONGEST_GRACE, required=False,
        help_text=_("How long at a stretch one may be over a limit; then nothing more is given. Empty is for good."),
    )  # fmt: skip

    def __init__(self, *args: Any, quota: Quota | None = None, **kwargs: Any):
        if quota is not None:
            kwargs["initial"] = {name: getattr(quota, name) for name in QuotaForm.base_fields}
        super().__init__(*args, **kwargs)


class NewQuotaForm(QuotaForm):
    user = forms.CharField(
        label=_("User"), max_length=150, required=False, widget=forms.TextInput(attrs={"autocapitalize": "none"}),
        help_text=_("A user name, or leave it empty."),
    )  # fmt: skip
    group = forms.CharField(label=_("Group"), max_length=255, required=False, help_text=_("Or the name of a group."))
    cluster = forms.ModelChoiceField(
        label=_("Cluster"), queryset=Cluster.objects.none(), required=False, empty_label=_("anywhere"),
        help_text=_("Without a user and a group: all that the cluster has."),
    )  # fmt: skip
    each = forms.BooleanField(
        label=_("For each member"), required=False,
        help_text=_("Of a group: the limits are for every member, not for all together."),
    )  # fmt: skip
    field_order = ("user", "group", "cluster", "each")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.actor = actor
        offer(self, "cluster", visible_to(actor, Cluster))

    def clean_user(self) -> User | None:
        user: User | None = self._named("user", visible_to(self.actor, User), "username")
        return user

    def clean_group(self) -> Group | None:
        group: Group | None = self._named("group", visible_to(self.actor, Group), "name")
        return group

    def _named(self, field: str, rows: Any, column: str) -> Any:
        name = self.cleaned_data[field]
        if not name:
            return None
        found = rows.filter(**{f"{column}__iexact": name}).first()
        if found is None:
            raise forms.ValidationError(_("There is nobody of that name."))
        return found
