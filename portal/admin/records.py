"""What happened and what is under way: events, jobs, sessions, duties. Nothing here can be written."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from broker.access.actions.cancel_job import cancel_job
from broker.connections.actions.delete_recording import delete_recording
from broker.connections.actions.end_session import end_session
from broker.connections.models import ConsoleTicket, Recording, Session
from broker.events.models import Event
from broker.jobs.duties import Duty
from broker.jobs.models import Job, Step
from portal.models import IdempotencyKey

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, GREY, RED, Inline, Rows, bar, worded
from .site import site

JOB = {
    "queued": GREY,
    "running": BLUE,
    "waiting": BLUE,
    "undoing": AMBER,
    "succeeded": GREEN,
    "failed": RED,
    "cancelled": GREY,
    "errored": RED,
}


@admin.register(Event, site=site)
class EventAdmin(Rows):
    """The audit trail."""

    list_display = ("at", "level", "kind", "sentence", "actor_name", "subject_name", "address")
    list_filter = (("severity", ChoicesDropdownFilter), ("at", RangeDateTimeFilter), "subject_kind")
    search_fields = ("kind__startswith", "actor_name", "subject_name", "subject_id__iexact", "correlation__exact")
    fields = (
        ("at", "kind"),
        "sentence",
        ("actor_name", "by_token", "address"),
        ("subject_kind", "subject_name"),
        ("subject_id", "severity"),
        ("correlation", "position"),
        "digest",
    )
    readonly_fields = ("sentence", "by_token")

    @display(description=_("Level"), ordering="severity", label={"info": BLUE, "warning": AMBER, "error": RED})
    def level(self, event: Event) -> tuple[str, str]:
        return event.severity, event.get_severity_display()

    @display(description=_("API token"))
    def by_token(self, event: Event) -> str:
        return event.token or "–"

    @display(description=_("What happened"))
    def sentence(self, event: Event) -> str:
        return event.message


class StepInline(Inline):
    model = Step
    fields = readonly_fields = ("index", "headline", "state", "started_at", "finished_at")

    @display(description=_("Title"))
    def headline(self, step: Step) -> str:
        return gettext(step.title)


@admin.register(Job, site=site)
@with_deeds(
    Deed(
        "cancel",
        _("Cancel"),
        cancel_job,
        "job",
        _("It stops at the next place where it can, and takes back what it did."),
        "cancel",
        destroys=True,
    )
)
class JobAdmin(Rows):
    """Accepted work; what went wrong is told in a sentence."""

    list_display = ("headline", "subject_name", "status", "done", "actor_name", "created_at", "finished_at")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", RangeDateTimeFilter), "plan")
    search_fields = ("subject_name", "subject_id__iexact", "plan", "actor_name", "id__iexact", "correlation__exact")
    inlines = (StepInline,)
    fields = (
        ("headline", "subject_name"),
        ("status", "done"),
        "text",
        "cause",
        "fix",
        ("actor_name", "correlation"),
        ("created_at", "started_at", "finished_at"),
        ("plan", "worker", "takeovers", "retries"),
    )
    readonly_fields = ("headline", "status", "done", "text", "cause", "fix")

    @display(description=_("Title"), ordering="title")
    def headline(self, job: Job) -> str:
        return gettext(job.title)

    @display(description=_("State"), ordering="state", label=JOB)
    def status(self, job: Job) -> tuple[str, str]:
        return worded(job.state)

    @display(description=_("Progress"), ordering="progress")
    def done(self, job: Job) -> Any:
        return bar(job.progress)


@admin.register(Session, site=site)
@with_deeds(
    Deed(
        "end",
        _("End"),
        end_session,
        "session",
        _("The console closes within seconds; the machine runs on."),
        "logout",
        destroys=True,
    )
)
class SessionAdmin(Rows):
    list_display = ("user", "vm", "status", "kind", "view_only", "opened_at", "closed_at", "close_reason", "address")
    list_filter = (("state", ChoicesDropdownFilter), ("opened_at", RangeDateTimeFilter))
    search_fields = ("user__username", "vm__name")
    list_select_related = ("user", "vm")

    @display(description=_("State"), ordering="state", label={"open": GREEN, "closing": AMBER, "closed": GREY})
    def status(self, session: Session) -> tuple[str, str]:
        return worded(session.state)


@admin.register(Recording, site=site)
@with_deeds(
    Deed(
        "delete",
        _("Delete"),
        delete_recording,
        "recording",
        _("The recording is gone for good; that it was made and removed stays in the events."),
        "delete",
        destroys=True,
    )
)
class RecordingAdmin(Rows):
    """That screens were recorded; they are played on the portal's pages."""

    list_display = ("user_name", "vm_name", "began_at", "ended_at", "why", "size_bytes")
    list_filter = (("why", ChoicesDropdownFilter), ("began_at", RangeDateTimeFilter))
    search_fields = ("user_name", "vm_name", "id__iexact")
    list_select_related = ("user", "vm")
    exclude = ("key",)


@admin.register(ConsoleTicket, site=site)
class TicketAdmin(Rows):
    list_display = ("user", "vm", "kind", "view_only", "created_at", "expires_at", "used_at")
    list_select_related = ("user", "vm")
    exclude = ("secret_hash", "web_session")


@admin.register(Duty, site=site)
class DutyAdmin(Rows):
    list_display = ("name", "began_at", "took_ms", "error")


@admin.register(IdempotencyKey, site=site)
class IdempotencyKeyAdmin(Rows):
    list_display = ("key", "user", "status", "created_at")
    list_select_related = ("user",)
    exclude = ("body", "digest")
