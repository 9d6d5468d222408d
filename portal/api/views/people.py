"""Users, groups, roles, grants, API tokens, and who one is."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.actions.create_role import create_role
from broker.access.actions.delete_role import delete_role
from broker.access.actions.demand_second_factor import demand_second_factor
from broker.access.actions.edit_role import edit_role
from broker.access.actions.grant import grant
from broker.access.actions.revoke import revoke
from broker.access.kinds import GRANTABLE
from broker.access.models import Grant, Role
from broker.access.objects import granted_object
from broker.access.queries import grants, roles
from broker.access.require import find, may, own
from broker.access.verbs import VERBS
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.actions.create_group import create_group
from broker.directories.actions.create_user import create_user
from broker.directories.actions.delete_group import delete_group
from broker.directories.actions.disable_user import disable_user
from broker.directories.actions.edit_user import edit_user
from broker.directories.actions.enable_user import enable_user
from broker.directories.actions.reset_second_factor import reset_second_factor
from broker.directories.actions.set_members import set_members
from broker.directories.actions.set_password import set_password
from broker.directories.models import Group, User
from portal.api.base import Door, Listed, Read, Resource, verb
from portal.api.fields import Id, Input, Switch, TextField, WholeNumber
from portal.api.problems import ProblemSerializer
from portal.api.queries import Search
from portal.api.serializers.people import (
    GrantSerializer,
    GroupDetailSerializer,
    GroupSerializer,
    MeSerializer,
    NewTokenSerializer,
    RoleSerializer,
    TokenSerializer,
    UserDetailSerializer,
    UserSerializer,
)
from portal.models import ApiToken
from portal.tokens import create_token, revoke_token


class Me(Door):
    """The signed-in user."""

    @extend_schema(responses={200: MeSerializer, 401: ProblemSerializer})
    def get(self, request: Request) -> Response:
        """Who one is, and what one may do to the whole system."""
        assert self.actor.user_id is not None, "the door is closed to who is not signed in"
        user = User.objects.select_related("directory").prefetch_related("directory_groups").get(pk=self.actor.user_id)
        held = {verb for one in self.actor.grants() if one.object_kind == "system" for verb in one.verbs}
        if self.actor.scope is not None:
            # A pattern that the token includes in part only is told as what is left of it.
            held = {verb for verb in VERBS if may(self.actor, verb)}
        user.verbs = sorted(held)  # type: ignore[attr-defined]
        return Response(MeSerializer(user).data)


class Password(serializers.CharField):
    """Neither trimmed nor shown; what it must be like is judged by the action."""

    def __init__(self, **kwargs: Any):
        super().__init__(max_length=1024, trim_whitespace=False, write_only=True, **kwargs)


class NewUser(Input):
    username = TextField(max_length=150)
    password = Password(required=False)
    display_name = TextField(max_length=255, required=False, allow_blank=True)
    email = TextField(max_length=254, required=False, allow_blank=True)


class ChangedUser(Input):
    display_name = TextField(max_length=255, required=False, allow_blank=True)
    email = TextField(max_length=254, required=False, allow_blank=True)


class NewPassword(Input):
    password = Password()


class UserFilter(filters.FilterSet):
    is_active = filters.BooleanFilter()
    group = filters.UUIDFilter(field_name="directory_groups")
    search = Search("username", "display_name", "email")


class Users(Listed, Read, Resource):
    """People. Everybody sees themselves."""

    serializer_class = UserSerializer
    detail_serializer_class = UserDetailSerializer
    filterset_class = UserFilter
    ordering = ("username",)
    ordering_fields = ("username", "display_name", "created_at", "last_login")

    def rows(self) -> QuerySet[User]:
        rows = User.objects.select_related("directory")
        return rows if self.action == "list" else rows.prefetch_related("directory_groups")

    @extend_schema(request=NewUser, responses={201: UserDetailSerializer})
    def create(self, request: Request) -> Response:
        """Make a local user."""
        return self.shown(create_user(actor=self.actor, **self.input(NewUser)), status=201)

    @extend_schema(responses=UserDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One user with their groups."""
        return super().retrieve(request, pk)

    @extend_schema(request=ChangedUser, responses=UserDetailSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change how a local user is shown."""
        return self.shown(edit_user(actor=self.actor, user=self.find(), **self.input(ChangedUser)))

    @verb("set-password", takes=NewPassword, gives=UserDetailSerializer)
    def set_password(self, request: Request, pk: Any) -> Response:
        """Give a local user a new password; sessions and API tokens made with the old one end."""
        return self.shown(set_password(actor=self.actor, user=self.find(), **self.input(NewPassword)))

    @verb("disable", gives=UserDetailSerializer)
    def disable(self, request: Request, pk: Any) -> Response:
        """Keep the user out; sessions and consoles end."""
        self.nothing()
        return self.shown(disable_user(actor=self.actor, user=self.find()))

    @verb("enable", gives=UserDetailSerializer)
    def enable(self, request: Request, pk: Any) -> Response:
        """Let the user in again."""
        self.nothing()
        return self.shown(enable_user(actor=self.actor, user=self.find()))

    @verb("reset-second-factor", gives=UserDetailSerializer)
    def reset_second_factor(self, request: Request, pk: Any) -> Response:
        """Take the second factor from a user who lost it; sign-ins end."""
        self.nothing()
        return self.shown(reset_second_factor(actor=self.actor, user=self.find()))


class NewGroup(Input):
    name = TextField(max_length=255)


class Members(Input):
    users = serializers.ListField(
        child=Id(), max_length=1000, help_text="All members by hand, by id; other such members are taken out."
    )


class GroupFilter(filters.FilterSet):
    search = Search("name")


class Groups(Listed, Read, Resource):
    """People as their directory groups them."""

    serializer_class = GroupSerializer
    detail_serializer_class = GroupDetailSerializer
    filterset_class = GroupFilter

    def rows(self) -> QuerySet[Group]:
        rows = Group.objects.select_related("directory").annotate(member_count=Count("members", distinct=True))
        return rows if self.action == "list" else rows.prefetch_related("members")

    @extend_schema(request=NewGroup, responses={201: GroupDetailSerializer})
    def create(self, request: Request) -> Response:
        """Make a local group."""
        return self.shown(create_group(actor=self.actor, **self.input(NewGroup)), status=201)

    @extend_schema(responses=GroupDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One group with its members."""
        return super().retrieve(request, pk)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a local group, and with it what was granted to it."""
        self.nothing()
        delete_group(actor=self.actor, group=self.find())
        return Response(status=204)

    @verb("members", takes=Members, gives=GroupDetailSerializer)
    def members(self, request: Request, pk: Any) -> Response:
        """Say who is in a group by hand; in a group of a directory those it names stay."""
        group, wanted = self.find(), set(self.input(Members)["users"])
        users = list(User.objects.filter(pk__in=wanted))
        if len(users) != len(wanted):
            raise Invalid(N_("One of these users does not exist."), field="users", fix=N_("Read the list again."))
        return self.shown(set_members(actor=self.actor, group=group, members=users))


class NewRole(Input):
    name = serializers.SlugField(max_length=50)
    title = TextField()
    verbs = serializers.ListField(child=serializers.CharField(max_length=64), max_length=100, required=False)
    like = Id(required=False, allow_null=True, help_text="Without rights of its own it gets those of this role.")


class ChangedRole(Input):
    title = TextField(required=False)
    verbs = serializers.ListField(child=serializers.CharField(max_length=64), max_length=100, required=False)


class DemandedSecondFactor(Input):
    demanded = Switch()


class Roles(Listed, Read, Resource):
    """Sets of rights. Who may look at the system, or give rights on anything, sees them."""

    serializer_class = RoleSerializer
    ordering_fields = ("name", "title")

    def rows(self) -> QuerySet[Role]:
        return Role.objects.all()

    def visible(self, rows: QuerySet[Role]) -> QuerySet[Role]:
        return roles(self.actor)

    @extend_schema(request=NewRole, responses={201: RoleSerializer})
    def create(self, request: Request) -> Response:
        """Make a role of one's own, by its rights or like another. Nobody writes rights into it they do not have."""
        given = self.input(NewRole)
        id_of_like = given.pop("like", None)
        like = _named(Role, id_of_like, "like") if id_of_like else None
        return self.shown(create_role(actor=self.actor, like=like, **given), status=201)

    @extend_schema(request=ChangedRole, responses=RoleSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change a role of one's own."""
        return self.shown(edit_role(actor=self.actor, role=self.find(), **self.input(ChangedRole)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a role that nobody holds."""
        self.nothing()
        delete_role(actor=self.actor, role=self.find())
        return Response(status=204)

    @verb("demand-second-factor", takes=DemandedSecondFactor, gives=RoleSerializer)
    def demand_second_factor(self, request: Request, pk: Any) -> Response:
        """Have whoever holds the role sign in with a second factor, or no longer; builtin roles too."""
        return self.shown(demand_second_factor(actor=self.actor, role=self.find(), **self.input(DemandedSecondFactor)))


class NewGrant(Input):
    """Exactly one of `user` and `group`. Without an object it is on the whole system."""

    role = Id()
    user = Id(required=False, allow_null=True)
    group = Id(required=False, allow_null=True)
    object_kind = serializers.ChoiceField(choices=["system", *GRANTABLE], required=False)
    object_id = Id(required=False, allow_null=True)


class GrantFilter(filters.FilterSet):
    user = filters.UUIDFilter(field_name="user_id")
    group = filters.UUIDFilter(field_name="group_id")
    role = filters.UUIDFilter(field_name="role_id")
    object_kind = filters.ChoiceFilter(choices=[(kind, kind) for kind in ("system", *GRANTABLE)])
    object_id = filters.UUIDFilter()


class Grants(Listed, Read, Resource):
    """Who has which role on what. Everybody sees what they were given, and who has rights on what they manage."""

    serializer_class = GrantSerializer
    filterset_class = GrantFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "object_kind")

    def rows(self) -> QuerySet[Grant]:
        return Grant.objects.select_related("user", "group", "role")

    def visible(self, rows: QuerySet[Grant]) -> QuerySet[Grant]:
        return grants(self.actor)

    @extend_schema(request=NewGrant, responses={201: GrantSerializer})
    def create(self, request: Request) -> Response:
        """Give a role to a user or a group."""
        given = self.input(NewGrant)
        obj = granted_object(given.get("object_kind", "system"), given.get("object_id"))
        row = grant(
            actor=self.actor,
            role=_named(Role, given["role"], "role"),
            user=find(self.actor, User, given["user"]) if given.get("user") else None,
            group=find(self.actor, Group, given["group"]) if given.get("group") else None,
            obj=obj,
        )
        return self.shown(row, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Take a grant away."""
        self.nothing()
        revoke(actor=self.actor, grant=self.find())
        return Response(status=204)


class TokenObject(Input):
    kind = serializers.ChoiceField(choices=GRANTABLE)
    id = Id()


class NewToken(Input):
    """Without `read_only`, `verbs` and `objects` the token may do all that its person may, else both: no more than the
    person may at the time of the call, and no more than is said here."""

    name = TextField(max_length=64)
    days = WholeNumber(required=False, min_value=1, max_value=365)
    read_only = Switch(required=False, help_text="Only what rights to see allow.")  # type: ignore[assignment]
    verbs = serializers.ListField(
        child=serializers.CharField(max_length=64), max_length=100, required=False, allow_null=True,
        help_text="Rights as roles have them, patterns too, and own.view, own.manage, account.manage for what is "
        "one's own; those to see the same things, and to follow jobs, come along.",
    )  # fmt: skip
    objects = serializers.ListField(
        child=TokenObject(), max_length=100, required=False,
        help_text="Only these, and what belongs to them as roles are inherited.",
    )  # fmt: skip
    networks = serializers.ListField(
        child=serializers.CharField(max_length=64), max_length=20, required=False,
        help_text="Only from these, as 192.0.2.0/24 or 2001:db8::/32.",
    )  # fmt: skip


class Tokens(Listed, Read, Resource):
    """One's own API tokens, and what each may do."""

    serializer_class = TokenSerializer
    ordering = ("-created",)
    ordering_fields = ("created", "expiry", "name")
    secret_answers = frozenset({"create"})

    def rows(self) -> QuerySet[ApiToken]:
        tokens: QuerySet[ApiToken] = ApiToken.objects.all()
        return tokens

    def visible(self, rows: QuerySet[ApiToken]) -> QuerySet[ApiToken]:
        return rows.filter(own(self.actor, Q(user=self.actor.user_id)))

    @extend_schema(request=NewToken, responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        """Make a token; it is shown in this answer and never again. By a narrowed one only such as are no wider."""
        given = {"days": 90} | self.input(NewToken)
        objects = [granted_object(one["kind"], one["id"]) for one in given.pop("objects", ())]
        row, secret = create_token(actor=self.actor, objects=[obj for obj in objects if obj is not None], **given)
        row.token = secret  # type: ignore[attr-defined]
        return Response(NewTokenSerializer(row).data, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Revoke a token; it stops working at once."""
        self.nothing()
        revoke_token(actor=self.actor, token=self.find())
        return Response(status=204)


def _named(model: Any, pk: Any, field: str) -> Any:
    found = model.objects.filter(pk=pk).first()
    if found is None:
        raise Invalid(N_("There is no such %(what)s."), field=field, fix=N_("Read the list again."), what=field)
    return found
