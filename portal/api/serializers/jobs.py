"""Jobs, their steps, and events."""

from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.events.models import Event
from broker.jobs.models import Job, Step

from .common import CauseSerializer, SubjectSerializer, cause


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
        return cause(job.error)


class StepSerializer(serializers.ModelSerializer):
    title = serializers.SerializerMethodField()

    class Meta:
        model = Step
        fields = ("index", "name", "title", "state", "started_at", "finished_at")

    def get_title(self, step: Step) -> str:
        return gettext(step.title)


class JobDetailSerializer(JobSerializer):
    steps = StepSerializer(many=True)

    class Meta(JobSerializer.Meta):
        fields = (*JobSerializer.Meta.fields, "steps")  # type: ignore[assignment]


class EventSerializer(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor_name")
    subject = serializers.SerializerMethodField()
    message = serializers.CharField()

    class Meta:
        model = Event
        fields = ("id", "at", "kind", "severity", "actor", "address", "subject", "message", "correlation")

    @extend_schema_field(SubjectSerializer(allow_null=True))
    def get_subject(self, event: Event) -> Any:
        return SubjectSerializer(event).data if event.subject_kind else None
