"""Jobs, their steps, and events."""

from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.events.models import Event
from broker.jobs.models import Job, Step
from portal.why import Sight

from .common import CauseSerializer, SubjectSerializer, cause, sight_of
from .why import WhySerializer


class JobSerializer(serializers.ModelSerializer):
    title = serializers.SerializerMethodField()
    subject = SubjectSerializer(source="*")
    actor = serializers.CharField(source="actor_name")
    message = serializers.CharField(source="text", help_text="What it is doing now.")
    error = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (
            "id", "plan", "title", "subject", "actor", "state", "outcome", "progress", "message", "error",
            "cancel_requested", "correlation", "created_at", "started_at", "finished_at",
        )  # fmt: skip

    def get_title(self, job: Job) -> str:
        return gettext(job.title)

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        return cause(job.error, sight_of(self))


class StepSerializer(serializers.ModelSerializer):
    title = serializers.SerializerMethodField()

    class Meta:
        model = Step
        fields = ("index", "name", "title", "state", "started_at", "finished_at")

    def get_title(self, step: Step) -> str:
        return gettext(step.title)


class JobDetailSerializer(JobSerializer):
    steps = StepSerializer(many=True)
    why = serializers.SerializerMethodField()

    class Meta(JobSerializer.Meta):
        fields = (*JobSerializer.Meta.fields, "steps", "why")  # type: ignore[assignment]

    @extend_schema_field(WhySerializer(allow_null=True))
    def get_why(self, job: Job) -> dict[str, Any] | None:
        return _why(self, job.error)


class EventSerializer(serializers.ModelSerializer):
    """`token`: the name of the actor's API token by which it was done; empty when by none."""

    actor = serializers.CharField(source="actor_name")
    token = serializers.CharField()
    subject = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField()

    class Meta:
        model = Event
        fields = ("id", "at", "kind", "severity", "actor", "token", "address", "subject", "message", "correlation")

    def get_message(self, event: Event) -> str:
        return sight_of(self).text_of(event)

    @extend_schema_field(SubjectSerializer(allow_null=True))
    def get_subject(self, event: Event) -> Any:
        return SubjectSerializer(event).data if event.subject_kind else None


class EventDetailSerializer(EventSerializer):
    why = serializers.SerializerMethodField()

    class Meta(EventSerializer.Meta):
        fields = (*EventSerializer.Meta.fields, "why")  # type: ignore[assignment]

    @extend_schema_field(WhySerializer(allow_null=True))
    def get_why(self, event: Event) -> dict[str, Any] | None:
        return _why(self, event.explanation)


def _why(serializer: serializers.BaseSerializer, stored: dict[str, Any] | None) -> dict[str, Any] | None:
    why = Sight(serializer.context["view"].actor, [stored]).why(stored)
    return why.as_dict() if why else None
