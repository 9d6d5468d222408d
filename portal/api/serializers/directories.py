"""Directories, and what their settings yield. No secret is in here: rows keep theirs sealed and apart."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.directories.models import Directory

from .common import CauseSerializer, cause


class DirectorySerializer(serializers.ModelSerializer):
    """`has_password`: Berth signs in to it; `has_keytab`: tickets of Kerberos can be read. `error`: why the last look
    failed. `sync_held`: what waits for a word.
    """

    config = serializers.DictField()
    has_password = serializers.SerializerMethodField()
    has_keytab = serializers.SerializerMethodField()
    users = serializers.IntegerField(source="user_count")
    groups = serializers.IntegerField(source="group_count")
    error = serializers.SerializerMethodField()

    class Meta:
        model = Directory
        fields = (
            "id", "name", "kind", "enabled", "order", "second_factor", "guest_name", "config", "has_password",
            "has_keytab", "users", "groups", "synced_at", "error", "sync_held",
        )  # fmt: skip

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_error(self, row: Directory) -> dict[str, str] | None:
        return cause(row.sync_error)

    def get_has_password(self, row: Directory) -> bool:
        return bool(row.secret)

    def get_has_keytab(self, row: Directory) -> bool:
        return bool(row.keytab)


class CandidateSerializer(serializers.Serializer):
    name = serializers.CharField()
    display_name = serializers.CharField()
    disabled = serializers.BooleanField()
    problem = serializers.CharField()


class NamedSerializer(serializers.Serializer):
    username = serializers.CharField()
    found = serializers.BooleanField()
    problem = serializers.CharField()
    display_name = serializers.CharField()
    email = serializers.CharField()
    disabled = serializers.BooleanField()
    groups = serializers.ListField(child=serializers.CharField())
    principal = serializers.CharField()


class WouldHaveSerializer(serializers.Serializer):
    title = serializers.CharField()
    on = serializers.CharField()
    group = serializers.CharField()


class YieldSerializer(serializers.Serializer):
    """`taken`: the directory whose user has the name already."""

    taken = serializers.CharField()
    roles = WouldHaveSerializer(many=True)
    pools = serializers.ListField(child=serializers.CharField())
    machines = serializers.ListField(child=serializers.CharField())
    desktops = serializers.ListField(child=serializers.CharField())


class FactSerializer(serializers.Serializer):
    name = serializers.CharField()
    value = serializers.CharField()


class KeySerializer(serializers.Serializer):
    """A key of the keytab: of which service, its number, and its cipher."""

    principal = serializers.CharField()
    number = serializers.IntegerField()
    cipher = serializers.CharField()


class TicketSerializer(serializers.Serializer):
    """Whose Kerberos ticket would be let in as whom; "" is nobody."""

    principal = serializers.CharField()
    username = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer):
    """`cause` and `fix` say why nothing (more) could be read; counting stops at 2,000. `facts`: of a provider."""

    bound = serializers.BooleanField()
    server = serializers.CharField()
    cause = serializers.CharField()
    fix = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    users = CandidateSerializer(many=True)
    user_count = serializers.IntegerField()
    groups = CandidateSerializer(many=True)
    group_count = serializers.IntegerField()
    named = NamedSerializer(allow_null=True)
    gets = YieldSerializer()
    facts = FactSerializer(many=True)
    keys = KeySerializer(many=True)
    tickets = TicketSerializer(many=True)
