"""What machines ask for: /healthz (the process answers), /readyz (what it needs is there, too), the favicon."""

from django.db import connection
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.templatetags.static import static

from broker.core import clock
from broker.jobs.duties import Duty

SILENT_SECONDS = 60.0


def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """503 with what is missing: the database, or a worker that runs the duties."""
    try:
        connection.ensure_connection()
        duty = Duty.objects.filter(name="jobs.wake").first()
    except DatabaseError as error:
        return JsonResponse({"status": "no database", "cause": type(error).__name__}, status=503)
    if duty is None or duty.began_at is None or (clock.now() - duty.began_at).total_seconds() > SILENT_SECONDS:
        return JsonResponse({"status": "no worker", "cause": "No worker has run a duty lately."}, status=503)
    return JsonResponse({"status": "ok"})


def favicon(request: HttpRequest) -> HttpResponseRedirect:
    """For pages that name no icon of their own."""
    return HttpResponseRedirect(static("berth/img/logo.svg"))
