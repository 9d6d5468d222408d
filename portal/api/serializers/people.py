"""Users, groups, and what they were given."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.access.models import Grant, Role
from broker.directories.models import Group, User
from portal.models import ApiToken

from .common import RefSerializer


class UserSerializer(serializers.ModelSerializer):
    """`second_factor_at`: since when a code is asked after the password; null when there is none."""

    directory = RefSerializer()

    class Meta:
        model = User
        fields = (
            "id", "username", "display_name", "email", "directory", "is_active", "second_factor_at", "created_at",
            "last_login",
        )  # fmt: skip


class UserDetailSerializer(UserSerializer):
    groups = RefSerializer(source="directory_groups", many=True)

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "groups")  # type: ignore[assignment]


class MeSerializer(UserDetailSerializer):
    """`verbs`: what the user may do to the whole system."""

    verbs = serializers.ListField(child=serializers.CharField())

    class Meta(UserDetailSerializer.Meta):
        fields = (*UserDetailSerializer.Meta.fields, "verbs")  # type: ignore[assignment]


class GroupSerializer(serializers.ModelSerializer):
    directory = RefSerializer()
    size = serializers.IntegerField(source="member_count")

    class Meta:
        model = Group
        fields = ("id", "name", "directory", "size")


class GroupDetailSerializer(GroupSerializer):
    members = RefSerializer(many=True)

    class Meta(GroupSerializer.Meta):
        fields = (*GroupSerializer.Meta.fields, "members")  # type: ignore[assignment]


class RoleSerializer(serializers.ModelSerializer):
    """`second_factor`: whoever holds it has to sign in with one."""

    verbs = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Role
        fields = ("id", "name", "title", "builtin", "verbs", "second_factor")


class GrantSerializer(serializers.ModelSerializer):
    user = RefSerializer(allow_null=True)
    group = RefSerializer(allow_null=True)
    role = RefSerializer()

    class Meta:
        model = Grant
        fields = ("id", "user", "group", "role", "object_kind", "object_id", "created_at")


class TokenObjectSerializer(serializers.Serializer):
    kind = serializers.CharField()
    id = serializers.UUIDField()


class TokenSerializer(serializers.ModelSerializer):
    """`hint` is the beginning of the token, to tell tokens apart.

    What it may do of all that its person may: `read_only`; `verbs`, null for all rights; `objects`, and what belongs to
    them, none for everywhere; from `networks`, none for everywhere. `last_used_at` is to the minute.
    """

    hint = serializers.CharField(source="token_key")
    read_only = serializers.SerializerMethodField()  # type: ignore[assignment]  # the field, not the option
    verbs = serializers.SerializerMethodField()
    objects = serializers.SerializerMethodField()
    networks = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = ApiToken
        fields = (
            "id", "name", "hint", "created", "expiry", "last_used_at", "read_only", "verbs", "objects", "networks",
        )  # fmt: skip

    def get_read_only(self, token: ApiToken) -> bool:
        return bool(token.scope and token.scope["read_only"])

    @extend_schema_field(serializers.ListField(child=serializers.CharField(), allow_null=True))
    def get_verbs(self, token: ApiToken) -> list[str] | None:
        return token.scope["verbs"] if token.scope else None

    @extend_schema_field(TokenObjectSerializer(many=True))
    def get_objects(self, token: ApiToken) -> list[dict[str, str]]:
        return [{"kind": kind, "id": pk} for kind, pk in (token.scope["objects"] if token.scope else ())]


class NewTokenSerializer(TokenSerializer):
    """The token itself, shown once."""

    token = serializers.CharField()

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]
