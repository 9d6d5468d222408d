"""The key with which Berth signs in on hosts over SSH."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.virt.ssh.key import public_key
from portal.api.base import Door


class SshKeySerializer(serializers.Serializer):
    public_key = serializers.CharField(help_text="A line for ~/.ssh/authorized_keys of the account on a host.")


class HostSshKey(Door):
    """What a host has to be told before it is added over SSH."""

    @extend_schema(operation_id="hosts_ssh_key", responses=SshKeySerializer)
    def get(self, request: Request) -> Response:
        """Berth's public key, which is no secret."""
        return Response({"public_key": public_key()})
