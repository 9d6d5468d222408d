"""Template versions from machines: a call of the machines' resource."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.models import StorageDomain, VmTemplate
from portal.api.base import Resource, job_verb
from portal.api.fields import Id, Input, LongTextField, Switch

from .disks import snapshot_of


class MadeVersion(Input):
    template = Id(required=False, allow_null=True, help_text="null: the machine's own.")
    snapshot = Id(required=False, allow_null=True, help_text="One of the machine's: its disk as it was then.")
    storage = Id(required=False, allow_null=True, help_text="null: where the template's newest version is.")
    notes = LongTextField(required=False, allow_blank=True)
    seal = Switch(required=False, help_text="Take out what makes the machine itself; true unless said otherwise.")
    inside = Switch(required=False, help_text="Before that also in the running machine, which loses it too.")
    shut_down = Switch(required=False, help_text="Shut a running machine down for it, and start it again afterwards.")
    live = Switch(required=False, help_text="Copy a running machine's disk as it is at one moment, while it runs on.")


class Copying(Resource):
    """Mixed into the machines."""

    @job_verb("make-version", takes=MadeVersion)
    def make_version(self, request: Request, pk: Any) -> Response:
        """Make a template version of its disk; the job's subject is the machine, its argument the version."""
        given = self.input(MadeVersion)
        for name, model in (("template", VmTemplate), ("storage", StorageDomain)):
            given[name] = find(self.actor, model, given[name]) if given.get(name) else None
        vm = self.find()
        given["snapshot"] = snapshot_of(vm, given.get("snapshot"))
        return self.accepted(make_template_version(actor=self.actor, vm=vm, **given))
