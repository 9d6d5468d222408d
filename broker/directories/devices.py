"""The browser's own id, by which the throttle of sign-ins tells it from strangers. It gives no right at all."""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from .throttle import REMEMBERED

COOKIE = "berth_device"


def device_of(request: HttpRequest) -> str:
    """The id in the browser's cookie, or a new one. Signed, for an id that its browser could choose could be shared."""
    try:
        return signing.Signer(salt=COOKIE).unsign(request.COOKIES.get(COOKIE, ""))
    except signing.BadSignature:
        return secrets.token_urlsafe(24)


def keep_device(response: HttpResponse, device: str) -> None:
    """Let the browser keep its id; call it after a good sign-in only."""
    response.set_cookie(
        COOKIE,
        signing.Signer(salt=COOKIE).sign(device),
        max_age=REMEMBERED,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
