"""Errors as problem documents (RFC 9457): what happened, why, and what would help."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from broker.access.actor import Actor
from broker.core.errors import BerthError, Invalid
from portal.middleware import retry_after, sentence
from portal.why import Why, why_of

from .serializers.why import WhySerializer

log = logging.getLogger(__name__)
NOBODY = Actor(user=None, name="anonymous")
CONTENT_TYPE = "application/problem+json"

# code → (what kind of problem it is, what usually helps)
KINDS: dict[str, tuple[Any, Any]] = {
    "invalid": (_("The input is not right"), _("Correct what is named and send it again.")),
    "unauthenticated": (_("Not signed in"), _("Sign in, or send a valid token as “Authorization: Bearer …”.")),
    "denied": (_("Not allowed"), _("Ask an administrator for a role that includes it.")),
    "missing": (_("Not found"), _("Go back to the list; it may have been removed, or is not yours.")),
    "method": (_("Not possible on this address"), _("See the API's description for what it takes.")),
    "conflict": (
        _("Not possible in the present state"),
        _("Look at the object again, and repeat the call if it still makes sense."),
    ),
    "busy": (_("Another job is at work"), _("Wait until it has ended.")),
    "over-quota": (_("Over what was granted"), _("Give something back first.")),
    "no-capacity": (_("No room"), _("Try again later.")),
    "unavailable": (_("Something does not answer"), _("Try again in a moment.")),
    "too-large": (_("Too large"), _("Send less.")),
    "media-type": (_("Not JSON"), _("Send “Content-Type: application/json”.")),
    "not-acceptable": (_("Only JSON is served"), _("Ask for “application/json”.")),
    "reused-key": (_("This Idempotency-Key belongs to another call"), _("Use a new key for each call.")),
    "throttled": (_("Too many calls"), _("Wait a moment.")),
    "error": (
        _("Something went wrong in Berth"),
        _("Try again; if it stays, tell an administrator the correlation id."),
    ),
}
_BY_STATUS = {
    401: "unauthenticated",
    403: "denied",
    404: "missing",
    405: "method",
    406: "not-acceptable",
    413: "too-large",
    415: "media-type",
    422: "reused-key",
    429: "throttled",
}


class ReusedKey(BerthError):
    """An Idempotency-Key came with another call before."""

    code, status = "reused-key", 422


class TooLarge(BerthError):
    """A request body over the limit."""

    code, status = "too-large", 413


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """REST framework's exception handler: every error becomes a problem document, also a defect of ours."""
    request = context.get("request")
    correlation = getattr(getattr(request, "_request", request), "correlation", "")
    if isinstance(error, BerthError):
        return _of_berth(error, getattr(context.get("view"), "actor", None) or NOBODY, correlation)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        return problem(413, "too-large", correlation=correlation)
    elif isinstance(error, SuspiciousOperation):
        error = exceptions.ParseError()
    if isinstance(error, exceptions.APIException):
        return _of_framework(error, correlation)
    log.error("API call failed (correlation %s)", correlation, exc_info=error)
    return problem(500, "error", correlation=correlation)


def problem(
    status: int,
    code: str,
    *,
    cause: str = "",
    fix: str = "",
    errors: dict[str, list[str]] | None = None,
    why: Why | None = None,
    retry: bool = False,
    correlation: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem document as an answer. `errors`: field → what is wrong with it; `why`: rule, what it looked at."""
    title, usual_fix = KINDS.get(code, KINDS["error"])
    body: dict[str, Any] = {
        "type": f"urn:berth:problem:{code}",
        "title": str(title),
        "status": status,
        "detail": cause or str(title),
        "fix": fix or str(usual_fix),
        "code": code,
        "retry": retry,
        "correlation": correlation,
    }
    if errors:
        body["errors"] = errors
    if why:
        body |= why.as_dict()
    return Response(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def _of_berth(error: BerthError, actor: Actor, correlation: str) -> Response:
    cause = sentence(error.template, error.params)
    field = error.field if isinstance(error, Invalid) else ""
    if error.status >= 500 and not error.retry:
        log.error("API call failed (correlation %s)", correlation, exc_info=error)
    return problem(
        error.status,
        error.code,
        cause=cause,
        fix=sentence(error.fix_template, error.params),
        errors={field: [cause]} if field else None,
        why=why_of(actor, error),
        retry=error.retry,
        correlation=correlation,
        headers=retry_after(error),
    )


def _of_framework(error: exceptions.APIException, correlation: str) -> Response:
    status = error.status_code
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    code = _BY_STATUS.get(status, "invalid" if status < 500 else "error")
    if isinstance(error, exceptions.ValidationError):
        errors = _flatten(error.detail)
        first = next(iter(errors.items()), ("", [gettext("The input is not right")]))
        cause = first[1][0] if not first[0] else f"{first[0]}: {first[1][0]}"
        return problem(status, "invalid", cause=cause, errors=errors, correlation=correlation)
    return problem(status, code, cause=str(error.detail), retry=status == 429, correlation=correlation, headers=headers)


def _flatten(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Nested errors of a serializer as "field.part" → sentences."""
    if isinstance(detail, dict):
        flat: dict[str, list[str]] = {}
        for key, value in detail.items():
            name = prefix if key == "non_field_errors" else f"{prefix}.{key}".lstrip(".")
            flat |= _flatten(value, name)
        return flat
    if isinstance(detail, list):
        if all(not isinstance(item, dict | list) for item in detail):
            return {prefix: [str(item) for item in detail]}
        flat = {}
        for index, item in enumerate(detail):
            flat |= _flatten(item, f"{prefix}.{index}".lstrip("."))
        return flat
    return {prefix: [str(detail)]}


class ProblemSerializer(WhySerializer):
    """For the API's description only."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text=_("What happened."))
    fix = serializers.CharField(help_text=_("What would help."))
    code = serializers.CharField()
    retry = serializers.BooleanField(help_text=_("The same call may succeed later without any change."))
    correlation = serializers.CharField(help_text=_("Finds the call in the logs and events."))
    errors = serializers.DictField(  # type: ignore[assignment]  # only described, never validated
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
