"""Jobs with their steps, and events."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actions.cancel_job import cancel_job
from broker.access.require import find, may, visible_to
from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job, Step
from broker.jobs.plans import PLANS
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.event_filters import asked, narrowed
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Pair, progress_of
from portal.web.words import Mark
from portal.why import Sight, told

PAGES = {
    "vm": "vm",
    "pool": "pool",
    "meta-pool": "meta-pool",
    "host": "host",
    "storage": "storage-one",
    "network": "network",
    "template": "template",
    "job": "job",
}
STEP_ICONS = {"done": "check", "running": "refresh", "failed": "x", "undone": "rotate-clockwise", "pending": "clock"}


def subject_url(kind: str, pk: Any) -> str:
    """The page of an object that a job or event is about; empty when its kind has none."""
    return reverse(f"portal:{PAGES[kind]}", args=[pk]) if pk and kind in PAGES else ""


class Jobs(Page):
    template = "portal/manage/jobs.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Job"), "title"), Column(_("State"), "state"), Column(_("Progress")),
            Column(_("Asked by"), "actor_name"), Column(_("Since"), "created_at"), Column(_("Took")), Column(""),
        )  # fmt: skip
        listing = Listing(
            self.request,
            visible_to(self.actor, Job),
            columns=columns,
            search=("title", "subject_name", "actor_name", "correlation"),
            filters=(Filter("state", _("State"), "state", [(key, mark.word) for key, mark in words.JOB.items()]),),
            order="-created_at",
        )
        cancels, sight = may(self.actor, "job.cancel"), Sight(self.actor, ())
        return {"listing": listing, "rows": [self._row(job, cancels, sight) for job in listing.page]}

    @staticmethod
    def _row(job: Job, cancels: bool, sight: Sight) -> dict[str, Any]:
        return {
            "id": job.pk,
            "url": reverse("portal:job", args=[job.pk]),
            "title": _(job.title),
            "subject": job.subject_name,
            "mark": words.JOB[job.state],
            "active": job.active,
            "percent": job.progress,
            "text": job.text if job.active else sight.sentences(job.error)[0],
            "actor": job.actor_name,
            "created_at": job.created_at,
            "took": (job.finished_at or clock.now()) - job.created_at,
            "cancel": cancel_action(job) if cancels else None,
        }


def cancel_action(job: Job) -> Action | None:
    """The button that cancels; None when it is over, or cannot be cancelled."""
    if not job.active or job.cancel_requested or job.state == "undoing" or not _cancellable(job):
        return None
    text = _("What was done so far is undone.")
    return Action(_("Cancel"), reverse("portal:job-cancel", args=[job.pk]), "x", confirm=text)


def _cancellable(job: Job) -> bool:
    return job.plan in PLANS and PLANS.get(job.plan).cancellable


class JobOne(Page):
    template = "portal/manage/job.html"

    def content(self, pk: Any) -> dict[str, Any]:
        job = find(self.actor, Job, pk)
        cancel = cancel_action(job) if may(self.actor, "job.cancel", job) else None
        cause, fix, why = told(self.actor, job.error)
        return {
            "job": {
                "id": job.pk, "title": _(job.title), "subject": job.subject_name, "mark": words.JOB[job.state],
                "active": job.active, "cause": cause, "fix": fix, "why": why,
                "progress": progress_of(job), "cancel": cancel,
            },
            "steps": _steps(job),
            "details": [
                Pair(_("On"), job.subject_name, url=subject_url(job.subject_kind, job.subject_id)),
                Pair(_("Asked by"), job.actor_name),
                Pair(_("Accepted"), moment=job.created_at),
                Pair(_("Begun"), moment=job.started_at) if job.started_at else Pair(_("Begun"), "–"),
                Pair(_("Ended"), moment=job.finished_at) if job.finished_at else Pair(_("Ended"), "–"),
                Pair(_("Worker"), job.worker or "–"),
                Pair(_("Attempts after errors"), str(job.retries)),
                Pair(_("Taken over"), str(job.takeovers)),
                Pair(_("Reference"), job.correlation or "–"),
            ],
        }  # fmt: skip


def _steps(job: Job) -> list[dict[str, Any]]:
    """Every step of the plan, those not reached yet as well."""
    done_steps = {step.index: step for step in Step.objects.filter(job=job)}
    titles = [step.title for step in PLANS.get(job.plan).steps] if job.plan in PLANS else []
    count = max(len(titles), *(index + 1 for index in done_steps), 0) if done_steps else len(titles)
    return [_step(done_steps.get(index), titles[index] if index < len(titles) else "") for index in range(count)]


def _step(step: Step | None, title: str) -> dict[str, Any]:
    state = step.state if step else "pending"
    mark: Mark = words.STEP[state]
    title = (step.title if step else "") or title
    return {
        "title": _(title) if title else "",
        "mark": mark,
        "icon": STEP_ICONS[state],
        "took": (step.finished_at or clock.now()) - step.started_at if step else None,
    }


class CancelJob(Deed):
    def do(self, pk: Any) -> HttpResponse:
        job = find(self.actor, Job, pk)
        cancel_job(actor=self.actor, job=job)
        return done(self.request, _("The job is being cancelled; what was done is undone."))


class Events(Page):
    template = "portal/manage/events.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("When"), "id"), Column(_("Severity"), "severity"), Column(_("What"), "kind"),
            Column(_("On"), "subject_name"), Column(_("By"), "actor_name"),
        )  # fmt: skip
        given = asked(self.request)
        kinds = [
            (key, _(key))
            for key in ("vm", "pool", "meta-pool", "host", "user", "template", "storage", "network", "session", "job")
        ]
        listing = Listing(
            self.request,
            narrowed(visible_to(self.actor, Event), given),
            columns=columns,
            search=("kind", "subject_name", "actor_name", "template", "correlation", "address"),
            filters=(
                Filter(
                    "severity", _("Severity"), "severity", [(key, mark.word) for key, mark in words.SEVERITY.items()]
                ),
                Filter("on", _("On"), "subject_kind", kinds),
            ),
            order="-id",
        )
        events = list(listing.page)
        sight = Sight(self.actor, [event.explanation for event in events])
        chain = reverse("portal:events-chain") if may(self.actor, "event.view") else ""
        rows = [_event(event, sight) for event in events]
        return {"listing": listing, "rows": rows, "given": given, "chain_url": chain}


def _event(event: Event, sight: Sight) -> dict[str, Any]:
    return {
        "at": event.at,
        "mark": words.SEVERITY.get(event.severity, words.UNKNOWN),
        "text": sight.text_of(event),
        "kind": event.kind,
        "subject": event.subject_name,
        "url": subject_url(event.subject_kind, event.subject_id),
        "actor": event.by,
        "address": event.address,
        "why": sight.why(event.explanation),
    }
