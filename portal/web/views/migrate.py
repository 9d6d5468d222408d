"""Moving a machine to another host: which hosts would do and why the others will not, and the settings of a cluster."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.virt import queries
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.migrating import order
from broker.virt.migrating.policies import POLICIES, SETTINGS, Rules
from broker.virt.models import Cluster, Host, VirtualMachine
from broker.virt.placement import Verdict
from broker.virt.placement.gather import verdicts_on
from portal.middleware import sentence
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm

from .placement import table_form


class MigrateForm(StyledForm):
    host = forms.ChoiceField(label=gettext_lazy("Move it to"), required=False, widget=forms.RadioSelect)
    policy = forms.ChoiceField(label=gettext_lazy("Migration policy"), required=False)


class Migrate(FormPage):
    """The hosts of the cluster, each with what placement says of it; those that will not do cannot be chosen."""

    template = "portal/manage/migrate.html"

    def form(self, data: Any, pk: Any) -> StyledForm:
        vm = find(self.actor, VirtualMachine, pk, "vm.migrate")
        form = MigrateForm(data)
        self._verdicts = self._judge(vm)
        fit = [(str(one.host.id), one.host.name) for one in self._verdicts if not one.refusals]
        host, policy = form.fields["host"], form.fields["policy"]
        assert isinstance(host, forms.ChoiceField) and isinstance(policy, forms.ChoiceField)
        host.choices = [("", _("The best host")), *fit]
        usual = POLICIES[Rules.of(vm.cluster.migration).policy]
        title = _("As the cluster has it: %(policy)s") % {"policy": _(usual.title)}
        policy.choices = [("", title), *((one.name, _(one.title)) for one in POLICIES.values())]
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        host = find(self.actor, Host, values["host"]) if values.get("host") else None
        vm = find(self.actor, VirtualMachine, pk)
        migrate_vm(actor=self.actor, vm=vm, host=host, policy=values.get("policy") or "")
        return reverse("portal:vm", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        refused = [one for one in self._verdicts if one.refusals]
        return {
            "title": _("Move %(name)s") % {"name": vm.title or vm.name},
            "under": _("It goes on running meanwhile; whoever works on it notices next to nothing."),
            "submit": _("Move it"),
            "back_url": reverse("portal:vm", args=[pk]),
            "back_label": vm.title or vm.name,
            "policies": [(_(one.title), _(one.help)) for one in POLICIES.values()],
            "refused": [(one.host.name, [sentence(r.template, r.params) for r in one.refusals]) for one in refused],
        }

    def _judge(self, vm: VirtualMachine) -> list[Verdict]:
        whole = queries.whole_machines().get(pk=vm.pk)
        seen = set(visible_to(self.actor, Host).filter(cluster=vm.cluster_id).values_list("pk", flat=True))
        verdicts = verdicts_on(whole, leaving=whole.host_id, storages=order.needed(whole))
        return [one for one in verdicts if one.host.id in seen]


class MigrationRules(FormPage):
    """How machines of a cluster move."""

    def form(self, data: Any, pk: Any) -> StyledForm:
        return table_form(SETTINGS, find(self.actor, Cluster, pk, "cluster.manage").migration, data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_cluster(actor=self.actor, cluster=find(self.actor, Cluster, pk), migration=values)
        return reverse("portal:cluster", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk)
        return {
            "title": _("Live migration in %(name)s") % {"name": row.name},
            "submit": _("Save"),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
        }
