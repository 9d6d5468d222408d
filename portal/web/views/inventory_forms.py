"""The forms of new templates, template versions, hosts, storage and networks."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.models import VmTemplate
from portal.web.form_page import FormPage
from portal.web.inventory_forms import HostForm, NetworkForm, StorageForm, TemplateForm, VersionForm
from portal.web.option_fields import options_of


class NewTemplate(FormPage):
    verb = "template.create"

    def form(self, data: Any) -> TemplateForm:
        return TemplateForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        template = create_template(actor=self.actor, **values)
        return reverse("portal:template", args=[template.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New template"),
            "under": _("What machines and pools are made from. Its first version is imported next."),
            "submit": _("Make the template"),
            "back_url": reverse("portal:templates"),
            "back_label": _("Templates"),
        }


class NewVersion(FormPage):
    def form(self, data: Any, pk: Any) -> VersionForm:
        return VersionForm(data, actor=self.actor, template=find(self.actor, VmTemplate, pk, "template.manage"))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        template, options = find(self.actor, VmTemplate, pk), options_of(values)
        import_template_version(actor=self.actor, template=template, options=options, **values)
        return reverse("portal:template", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        template = find(self.actor, VmTemplate, pk)
        return {
            "title": _("Import a version of %(template)s") % {"template": template},
            "under": _("The image is checked and copied; machines made from it get the hardware chosen here."),
            "submit": _("Import it"),
            "back_url": reverse("portal:template", args=[pk]),
            "back_label": str(template),
        }


class NewHost(FormPage):
    verb = "host.manage"

    def form(self, data: Any) -> HostForm:
        return HostForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        host = create_host(actor=self.actor, **values)
        return reverse("portal:host", args=[host.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New host"),
            "under": _("A machine with KVM that runs the desktops. Its page tells when it was reached."),
            "submit": _("Add the host"),
            "back_url": reverse("portal:hosts"),
            "back_label": _("Hosts"),
        }


class NewStorage(FormPage):
    verb = "storage.manage"

    def form(self, data: Any) -> StorageForm:
        return StorageForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        storage = create_storage(actor=self.actor, **values)
        return reverse("portal:storage-one", args=[storage.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New storage"),
            "under": _("A place for disks and images: a directory on the hosts, or a share that all of them mount."),
            "submit": _("Add the storage"),
            "back_url": reverse("portal:storage"),
            "back_label": _("Storage"),
        }


class NewNetwork(FormPage):
    verb = "network.manage"

    def form(self, data: Any) -> NetworkForm:
        return NetworkForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        network = create_network(actor=self.actor, **values)
        return reverse("portal:network", args=[network.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New network"),
            "under": _("What machines plug into. Hosts get it when the first machine on them needs it."),
            "submit": _("Make the network"),
            "back_url": reverse("portal:networks"),
            "back_label": _("Networks"),
        }
