"""Jobs, with their steps, and events."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.actions.cancel_job import cancel_job
from broker.events.models import Event, Severity
from broker.jobs.models import Job, Step
from broker.jobs.states import ACTIVE, ENDED, JobState
from portal.api.base import Listed, Read, Resource, job_verb
from portal.api.queries import Search, choices
from portal.api.serializers.jobs import EventDetailSerializer, EventSerializer, JobDetailSerializer, JobSerializer


class JobFilter(filters.FilterSet):
    state = choices(JobState)
    active = filters.BooleanFilter(method="by_active")
    plan = filters.CharFilter(max_length=64)
    subject_kind = filters.CharFilter(max_length=32)
    subject_id = filters.UUIDFilter()
    correlation = filters.CharFilter(max_length=64)
    search = Search("subject_name", "plan", "actor_name")

    def by_active(self, rows: QuerySet[Job], name: str, value: bool) -> QuerySet[Job]:
        return rows.filter(state__in=ACTIVE if value else ENDED)


class Jobs(Listed, Read, Resource):
    """Accepted work: what it does now, how far it is, why it did not succeed."""

    serializer_class = JobSerializer
    detail_serializer_class = JobDetailSerializer
    filterset_class = JobFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "finished_at", "state", "plan", "subject_name")

    def rows(self) -> QuerySet[Job]:
        rows = Job.objects.all()
        return (
            rows if self.action == "list" else rows.prefetch_related(Prefetch("steps", Step.objects.order_by("index")))
        )

    @extend_schema(responses=JobDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One job with its steps."""
        return super().retrieve(request, pk)

    @job_verb("cancel")
    def cancel(self, request: Request, pk: Any) -> Response:
        """Ask it to stop and to take back what it did."""
        self.nothing()
        return self.accepted(cancel_job(actor=self.actor, job=self.find()))


class EventFilter(filters.FilterSet):
    kind = filters.CharFilter(max_length=64)
    severity = choices(Severity)
    subject_kind = filters.CharFilter(max_length=32)
    subject_id = filters.UUIDFilter()
    correlation = filters.CharFilter(max_length=64)
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    search = Search("actor_name", "subject_name", "kind")


class Events(Listed, Read, Resource):
    """What happened, and who did it."""

    serializer_class = EventSerializer
    detail_serializer_class = EventDetailSerializer
    filterset_class = EventFilter
    lookup_value_converter = "int"
    ordering = ("-at",)
    ordering_fields = ("at", "kind", "severity")

    def rows(self) -> QuerySet[Event]:
        return Event.objects.all()

    @extend_schema(responses=EventDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One event; of a refusal, with what was looked at."""
        return super().retrieve(request, pk)
