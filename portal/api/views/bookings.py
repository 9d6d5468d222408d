"""Booking desktops of a pool: one's own, those of others for who manages it, when something is free, and the rules."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from pools.actions.block_time import block_time
from pools.actions.book import book
from pools.actions.cancel_booking import cancel_booking
from pools.actions.move_booking import move_booking
from pools.actions.set_booking_rules import LONGEST, set_booking_rules
from pools.booked import require_booked, rules_for
from pools.booking_calendar import DAYS, day_of, free_times
from pools.models import Booking, Pool
from pools.models.pool import LARGEST
from pools.queries import bookings
from pools.states import BookingState
from portal.api.base import Door, Listed, Read, Resource
from portal.api.fields import Id, Input, Switch, TextField, WholeNumber
from portal.api.queries import choices
from portal.api.serializers.bookings import BookingRulesSerializer, BookingSerializer, FreeTimesSerializer


def _minutes(least: int = 5) -> WholeNumber:
    return WholeNumber(required=False, min_value=least, max_value=LONGEST, help_text="Minutes.")


class ChangedBookingRules(Input):
    booked = Switch(required=False, help_text="Whether desktops are booked at all.")
    shortest = _minutes()
    longest = _minutes()
    ahead = WholeNumber(required=False, min_value=1, max_value=365, help_text="How many days ahead can be booked.")
    per_person = WholeNumber(required=False, min_value=1, max_value=100, help_text="Most open bookings of one person.")
    grace = _minutes(1)
    cancel_until = _minutes(0)
    capacity = WholeNumber(
        required=False, allow_null=True, min_value=1, max_value=LARGEST, help_text="null: as many as the pool has."
    )
    walk_in = Switch(required=False, help_text="Whether what no booking needs may be taken without one.")
    zone = TextField(max_length=64, required=False, help_text="IANA name: whose days the calendar shows.")


class Time(Input):
    start = serializers.DateTimeField(help_text="Whole minutes; seconds are dropped.")
    end = serializers.DateTimeField()


class NewBooking(Time):
    user = Id(required=False, allow_null=True, help_text="null: for oneself. Others: who manages the pool.")


class NewBlock(Time):
    reason = TextField(max_length=200, required=False, allow_blank=True)
    cancel_others = Switch(required=False, help_text="Cancel the bookings in that time, with the reason.")


class Cause(Input):
    reason = TextField(max_length=200, required=False, allow_blank=True, help_text="Its user is told.")


class BookingFilter(filters.FilterSet):
    state = choices(BookingState)
    kind = choices(Booking.Kind.values)
    user = filters.UUIDFilter(field_name="user_id")
    begins_before = filters.IsoDateTimeFilter(field_name="start", lookup_expr="lt")
    ends_after = filters.IsoDateTimeFilter(field_name="end", lookup_expr="gt")


class Bookings(Listed, Read, Resource):
    """One's own bookings of a pool; all for who manages it."""

    serializer_class = BookingSerializer
    filterset_class = BookingFilter
    ordering = ("start",)
    ordering_fields = ("start", "end", "state", "created_at")

    def rows(self) -> QuerySet[Booking]:
        return Booking.objects.select_related("user", "pool")

    def visible(self, rows: QuerySet[Booking]) -> QuerySet[Booking]:
        return bookings(self.actor, self._pool()).select_related("user", "pool")

    def _pool(self) -> Pool:
        return find(self.actor, Pool, self.kwargs["pool_pk"])

    def list(self, request: Request, pool_pk: Any) -> Response:  # type: ignore[override]
        """Past ones too; filter by `ends_after`."""
        return super().list(request)

    def retrieve(self, request: Request, pool_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        """One booking."""
        return super().retrieve(request, pk)

    @extend_schema(request=NewBooking, responses={201: BookingSerializer})
    def create(self, request: Request, pool_pk: Any) -> Response:
        """Book a desktop for a time."""
        pool, given = self._pool(), self.input(NewBooking)
        user = find(self.actor, User, given.pop("user")) if given.get("user") else None
        given.pop("user", None)
        return self.shown(book(actor=self.actor, pool=pool, user=user, **given), status=201)

    @extend_schema(request=Time, responses=BookingSerializer)
    def partial_update(self, request: Request, pool_pk: Any, pk: Any) -> Response:
        """Move it to another time."""
        return self.shown(move_booking(actor=self.actor, booking=self.find(), **self.input(Time)))

    @extend_schema(request=Cause, responses=BookingSerializer)
    @action(detail=True, methods=["post"], url_path="cancel", url_name="cancel")
    def cancel(self, request: Request, pool_pk: Any, pk: Any) -> Response:
        """Cancel it, or end a time that is blocked."""
        return self.shown(cancel_booking(actor=self.actor, booking=self.find(), **self.input(Cause)))

    @extend_schema(request=NewBlock, responses={201: BookingSerializer})
    @action(detail=False, methods=["post"], url_path="block", url_name="block")
    def block(self, request: Request, pool_pk: Any) -> Response:
        """Let nobody have a desktop for a time."""
        return self.shown(block_time(actor=self.actor, pool=self._pool(), **self.input(NewBlock)), status=201)


class PoolBookingRules(Door):
    """Whether and how desktops of a pool are booked."""

    @extend_schema(operation_id="pools_booking_rules", responses=BookingRulesSerializer)
    def get(self, request: Request, pool_pk: Any) -> Response:
        """The rules; without any, those of a pool that is not booked."""
        return Response(BookingRulesSerializer(rules_for(find(self.actor, Pool, pool_pk))).data)

    @extend_schema(
        operation_id="pools_set_booking_rules", request=ChangedBookingRules, responses=BookingRulesSerializer
    )
    def patch(self, request: Request, pool_pk: Any) -> Response:
        """Change those that are given."""
        pool = find(self.actor, Pool, pool_pk)
        body = ChangedBookingRules(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(
            BookingRulesSerializer(set_booking_rules(actor=self.actor, pool=pool, **body.validated_data)).data
        )


class FreeTimes(Door):
    """How many desktops of a pool can still be booked when."""

    query_parameters = frozenset({"day"})

    @extend_schema(
        operation_id="pools_free_times",
        parameters=[OpenApiParameter("day", str, description="The first day, 2026-11-28; today if not given.")],
        responses=FreeTimesSerializer,
    )
    def get(self, request: Request, pool_pk: Any) -> Response:
        """A week from that day in the zone of the pool, hour by hour, and when something is free next."""
        pool = find(self.actor, Pool, pool_pk)
        rules = require_booked(pool)
        asked = request.query_params.get("day", "")
        first = day_of(asked, rules)
        if first is None:
            raise Invalid(
                N_("There is no such day."), field="day", fix=N_("Write it like 2026-11-28, a day that is near.")
            )
        return Response(FreeTimesSerializer(free_times(rules, first, days=DAYS)).data)
