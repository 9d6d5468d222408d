"""Letting a machine enrol as a host."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.invite_host import invite_host
from broker.virt.models import Cluster
from portal.agents import package
from portal.agents.views import manager_of
from portal.api.base import Door
from portal.api.fields import Id, Input, NameField, TextField


class NewInvitation(Input):
    cluster = Id()
    name = NameField()
    address = TextField(max_length=253, help_text="By which Berth and the other hosts reach it.")


class InvitationSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    code = serializers.CharField(help_text="Told only here; good once, until `until`.")
    command = serializers.CharField(help_text="To be run on the machine; it asks for the code.")
    until = serializers.DateTimeField()


class InviteHost(Door):
    """Let a machine enrol."""

    @extend_schema(operation_id="hosts_invite", request=NewInvitation, responses={201: InvitationSerializer})
    def post(self, request: Request) -> Response:
        """Make a code with which one machine becomes a host of the cluster, or a known host is enrolled anew."""
        given = NewInvitation(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        cluster = find(self.actor, Cluster, values["cluster"])
        invited = invite_host(actor=self.actor, cluster=cluster, name=values["name"], address=values["address"])
        row = invited.invitation
        told = {
            "id": row.pk, "code": invited.code, "until": row.until,
            "command": package.command(manager_of(request._request), str(row.pk)),
        }  # fmt: skip
        return Response(InvitationSerializer(told).data, status=201, headers={"Cache-Control": "no-store"})
