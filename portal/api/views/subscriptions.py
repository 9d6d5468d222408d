"""Subscriptions: which events are told to whom, by mail or webhook."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.events.models import Severity
from broker.notifications.actions.create_subscription import create_subscription
from broker.notifications.actions.delete_subscription import delete_subscription
from broker.notifications.actions.edit_subscription import edit_subscription
from broker.notifications.actions.try_subscription import try_subscription
from broker.notifications.models import Subscription, Way
from broker.notifications.rules import MOST_KINDS, subscriptions
from portal.api.base import Listed, Read, Resource, verb
from portal.api.fields import Id, Input, Switch, TextField
from portal.api.serializers.subscriptions import SubscriptionSerializer


class _Fields(Input):
    kinds = serializers.ListField(
        child=TextField(max_length=64), required=False, max_length=MOST_KINDS,
        help_text="Kinds of events, or a beginning and a star: vm.*; none for all.",
    )  # fmt: skip
    severity = serializers.ChoiceField(choices=Severity.choices, required=False, help_text="This and worse.")
    object_kind = TextField(max_length=32, required=False, allow_blank=True)
    object_id = Id(required=False, allow_null=True)
    secret = TextField(
        max_length=200,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Signs a webhook; 16 signs or more.",
    )


class NewSubscription(_Fields):
    name = TextField(max_length=64)
    way = serializers.ChoiceField(choices=Way.choices)
    target = TextField(max_length=500, help_text="A mail address, or an https address.")
    site = Switch(required=False, help_text="It is nobody's own; takes the right to run the system.")


class ChangedSubscription(_Fields):
    name = TextField(max_length=64, required=False)
    way = serializers.ChoiceField(choices=Way.choices, required=False)
    target = TextField(max_length=500, required=False)
    enabled = Switch(required=False)


class Subscriptions(Listed, Read, Resource):
    """One's own; for who runs the system all."""

    serializer_class = SubscriptionSerializer
    ordering_fields = ("name", "created_at")

    def rows(self) -> QuerySet[Subscription]:
        return Subscription.objects.select_related("owner")

    def visible(self, rows: QuerySet[Subscription]) -> QuerySet[Subscription]:
        return subscriptions(self.actor)

    @extend_schema(request=NewSubscription, responses={201: SubscriptionSerializer})
    def create(self, request: Request) -> Response:
        """Have events told from now on."""
        return self.shown(create_subscription(actor=self.actor, **self.input(NewSubscription)), status=201)

    @extend_schema(request=ChangedSubscription, responses=SubscriptionSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it, or switch it off and on."""
        values = self.input(ChangedSubscription)
        return self.shown(edit_subscription(actor=self.actor, subscription=self.find(), **values))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """End it."""
        self.nothing()
        delete_subscription(actor=self.actor, subscription=self.find())
        return Response(status=204)

    @verb("test", gives=SubscriptionSerializer)
    def test(self, request: Request, pk: Any) -> Response:
        """Have a test sent within seconds; `error` and `told_at` then say what came of it."""
        self.nothing()
        return self.shown(try_subscription(actor=self.actor, subscription=self.find()))
