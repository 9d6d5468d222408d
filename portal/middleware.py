"""What every request gets: a correlation id, an actor, and errors that say what to do."""

import re
import secrets
from collections.abc import Callable

from django.contrib.messages import middleware as messages
from django.contrib.messages.storage import default_storage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject, empty
from django.utils.translation import gettext

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError

Handler = Callable[[HttpRequest], HttpResponse]
_SAFE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class CorrelationMiddleware:
    """One id for a request and all that follows from it; a sane one from the client is kept."""

    def __init__(self, get_response: Handler):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.began_at = clock.now()  # type: ignore[attr-defined]
        request.correlation = given if _SAFE_ID.fullmatch(given) else secrets.token_hex(12)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-ID"] = request.correlation  # type: ignore[attr-defined]
        return response


class MessageMiddleware(messages.MessageMiddleware):
    """Django's, whose store is only made for who looks into it or puts something in: few requests do."""

    def process_request(self, request: HttpRequest) -> None:
        request._messages = SimpleLazyObject(lambda: default_storage(request))  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        store = request.__dict__.get("_messages")
        untouched = isinstance(store, SimpleLazyObject) and store.__dict__["_wrapped"] is empty
        return response if untouched else super().process_response(request, response)


class ActorMiddleware:
    """request.actor: who acts."""

    def __init__(self, get_response: Handler):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = Actor.of(request)  # type: ignore[attr-defined]
        return self.get_response(request)


class BerthErrorMiddleware:
    """A BerthError that a page did not handle becomes a page, or a small fragment for htmx, with its cause and fix."""

    def __init__(self, get_response: Handler):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, BerthError):
            return None
        message, fix = sentence(error.template, error.params), sentence(error.fix_template, error.params)
        if request.headers.get("Accept", "").startswith("application/json"):
            told = {"code": error.code, "message": message, "fix": fix, "rule": error.rule}
            return JsonResponse(told, status=error.status, headers=retry_after(error))
        from .why import why_of  # it speaks with this module's sentence()

        actor = getattr(request, "actor", None) or Actor.of(request)
        context = {"message": message, "fix": fix, "status": error.status, "why": why_of(actor, error)}
        return render(request, "errors/refused.html", context, status=error.status)


def retry_after(error: BerthError) -> dict[str, str]:
    """The header that says when to come again, for an error that knows."""
    seconds = getattr(error, "retry_after", None)
    return {} if seconds is None else {"Retry-After": str(seconds)}


def sentence(template: str, params: dict[str, object]) -> str:
    """A %-template in the reader's language."""
    text = gettext(template) if template else ""
    return text % params if params else text
