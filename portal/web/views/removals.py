"""Removing templates, template versions, hosts, storage and networks: the buttons, and what they do."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.virt.actions.delete_host import delete_host
from broker.virt.actions.delete_network import delete_network
from broker.virt.actions.delete_storage import delete_storage
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.models import Host, Network, StorageDomain, TemplateVersion, VmTemplate
from portal.web.base import Deed, done
from portal.web.parts import Action


class DeleteTemplate(Deed):
    def do(self, pk: Any) -> HttpResponse:
        jobs = delete_template(actor=self.actor, template=find(self.actor, VmTemplate, pk))
        told = _("The template is being deleted.") if jobs else _("The template was deleted.")
        return done(self.request, told, to=reverse("portal:templates"), leave=True)


class DeleteVersion(Deed):
    def do(self, pk: Any) -> HttpResponse:
        version = find(self.actor, TemplateVersion, pk)
        delete_template_version(actor=self.actor, version=version)
        return done(self.request, _("%(version)s is being deleted.") % {"version": version})


class DeleteHost(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_host(actor=self.actor, host=find(self.actor, Host, pk))
        return done(self.request, _("The host was removed."), to=reverse("portal:hosts"), leave=True)


class DeleteStorage(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_storage(actor=self.actor, storage=find(self.actor, StorageDomain, pk))
        return done(self.request, _("The storage was removed."), to=reverse("portal:storage"), leave=True)


class DeleteNetwork(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_network(actor=self.actor, network=find(self.actor, Network, pk))
        return done(self.request, _("The network was removed."), to=reverse("portal:networks"), leave=True)


def template_removal(row: VmTemplate) -> Action:
    text = _("The template goes with all its versions and their images; this cannot be undone.")
    return removal(_("Delete"), "template-delete", row, text)


def version_removal(row: TemplateVersion) -> Action:
    text = _("%(version)s is deleted with its image; this cannot be undone.") % {"version": row}
    return removal(_("Delete %(version)s") % {"version": row}, "version-delete", row, text)


def host_removal(row: Host) -> Action:
    text = _("Berth forgets %(name)s. What runs on it goes on running and is no longer looked after.")
    return removal(_("Remove"), "host-delete", row, text % {"name": row.name})


def storage_removal(row: StorageDomain) -> Action:
    text = _("Berth no longer uses %(path)s. The directory and what lies in it stay as they are.")
    return removal(_("Remove"), "storage-delete", row, text % {"path": row.path})


def network_removal(row: Network) -> Action:
    text = _("No machine can be plugged into %(name)s any more.") % {"name": row.name}
    return removal(_("Remove"), "network-delete", row, text)


def removal(label: str, address: str, row: Any, text: str) -> Action:
    return Action(label, reverse(f"portal:{address}", args=[row.pk]), "trash", danger=True, confirm=text)
