"""Which job is at work on each row of a list, as part of the list's own query."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from broker.jobs.models import Job
from broker.jobs.states import ACTIVE


def with_active_job(rows: QuerySet[Any], kind: str) -> QuerySet[Any]:
    """The rows, each with `active_job`: the id of the job at work on it, or None."""
    jobs = Job.objects.filter(subject_kind=kind, subject_id=OuterRef("pk"), state__in=sorted(ACTIVE)).values("pk")[:1]
    annotated: QuerySet[Any] = rows.annotate(active_job=Subquery(jobs))
    return annotated
