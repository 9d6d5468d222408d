"""Machines that move to another host while they run."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.migrating.policies import POLICIES
from broker.virt.models import Host
from portal.api.base import Resource, job_verb
from portal.api.fields import Id, Input


class Migration(Input):
    host = Id(required=False, allow_null=True, help_text="Where to; left out: placement chooses.")
    policy = serializers.ChoiceField(
        choices=[(policy.name, policy.title) for policy in POLICIES.values()], required=False,
        help_text="Left out: the cluster's.",
    )  # fmt: skip


class Moving(Resource):
    """Mixed into the machines."""

    @job_verb("migrate", takes=Migration)
    def migrate(self, request: Request, pk: Any) -> Response:
        """Move it to another host while it runs; cancelling the job leaves it where it is."""
        given = self.input(Migration)
        given["host"] = find(self.actor, Host, given["host"]) if given.get("host") else None
        return self.accepted(migrate_vm(actor=self.actor, vm=self.find(), **given))
