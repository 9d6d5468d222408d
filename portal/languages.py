"""Which language a page speaks: the one chosen in this browser, else the first of the browser's own that is shipped.

A choice is kept in a cookie, which the sign-in page reads too, and of who is signed in with the person: signing in
brings it to the next browser. Nothing of it is asked of the database but at that moment.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.views.i18n import set_language

from broker.directories.languages import keep_language, language_of


class LanguageMiddleware(LocaleMiddleware):
    """Django's, and who has just signed in takes their language along."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response = super().process_response(request, response)
        if code := getattr(request, "language_of_person", ""):
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME, code, max_age=settings.LANGUAGE_COOKIE_AGE,
                path=settings.LANGUAGE_COOKIE_PATH, domain=settings.LANGUAGE_COOKIE_DOMAIN,
                secure=settings.LANGUAGE_COOKIE_SECURE, httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
                samesite="Lax",
            )  # fmt: skip
        return response


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    code = language_of(user)
    if code != request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME):
        request.language_of_person = code  # type: ignore[attr-defined]


def choose(request: HttpRequest) -> HttpResponse:
    """POST `language`, and back to `next`. One that is not shipped changes nothing."""
    response = set_language(request)
    if request.method == "POST" and request.user.is_authenticated:
        keep_language(request.user, request.POST.get("language", ""))
    return response
