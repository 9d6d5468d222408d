"""Users, groups, and what they were given."""

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


class TokenSerializer(serializers.ModelSerializer):
    """`hint` is the beginning of the token, to tell tokens apart."""

    hint = serializers.CharField(source="token_key")

    class Meta:
        model = ApiToken
        fields = ("id", "name", "hint", "created", "expiry")


class NewTokenSerializer(TokenSerializer):
    """The token itself, shown once."""

    token = serializers.CharField()

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]
