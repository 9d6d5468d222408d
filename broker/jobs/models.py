"""Job and Step: the record of long work. The row is the truth; a message about it is only a wake-up."""

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext

from broker.core import clock

from .states import ACTIVE, JobState


class Job(models.Model):
    """One accepted piece of work.

    `epoch` counts claims: every write of a worker carries the epoch it claimed with, so that one which
    was frozen and comes back writes nothing. `outcome` is what the job will end as once undone.
    """

    access_kind = "job"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.CharField(max_length=64)
    title = models.CharField(max_length=255)
    args = models.JSONField(default=dict)
    subject_kind = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    subject_name = models.CharField(max_length=255)
    actor = models.ForeignKey("directories.User", null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=255)
    correlation = models.CharField(max_length=64, blank=True, db_index=True)
    state = models.CharField(max_length=12, default=JobState.QUEUED, choices=[(s, s) for s in JobState])
    outcome = models.CharField(max_length=12, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    progress = models.PositiveSmallIntegerField(default=0)
    message = models.CharField(max_length=255, blank=True)
    message_params = models.JSONField(default=dict)
    error = models.JSONField(null=True)
    cancel_requested = models.BooleanField(default=False)
    epoch = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(default=clock.now)
    next_run_at = models.DateTimeField(default=clock.now)
    worker = models.CharField(max_length=128, blank=True)
    retries = models.PositiveSmallIntegerField(default=0)
    takeovers = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("subject_kind", "subject_id"), condition=models.Q(state__in=sorted(ACTIVE)),
                name="one_active_job_per_subject",
            ),
        )  # fmt: skip
        indexes = (
            models.Index(fields=("next_run_at",), condition=models.Q(state__in=sorted(ACTIVE)), name="jobs_due"),
            models.Index(fields=("subject_kind", "subject_id", "-created_at")),
            models.Index(fields=("-created_at",)),
        )

    def __str__(self) -> str:
        return f"{self.title} {self.subject_name}".strip()

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def text(self) -> str:
        """What it is doing now, in the reader's language."""
        if not self.message:
            return ""
        text = gettext(self.message)
        return text % self.message_params if self.message_params else text

    @property
    def cause(self) -> str:
        """Why it did not succeed, in the reader's language."""
        return _sentence(self.error, "message")

    @property
    def fix(self) -> str:
        return _sentence(self.error, "fix")


def _sentence(error: dict[str, Any] | None, part: str) -> str:
    if not error or not error.get(part):
        return ""
    text = gettext(error[part])
    return text % error["params"] if error.get("params") else text


class StepState(models.TextChoices):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


class Step(models.Model):
    """What happened in one step of a job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=64)
    title = models.CharField(max_length=255)
    state = models.CharField(max_length=8, choices=StepState, default=StepState.RUNNING)
    started_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("index",)
        constraints = (models.UniqueConstraint(fields=("job", "index"), name="one_row_per_step"),)

    def __str__(self) -> str:
        return self.title


from .duties import Duty  # noqa: F401 - a model beside its verb; Django finds models here
