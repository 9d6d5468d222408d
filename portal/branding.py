"""What a site puts on Berth's pages: its name, its logo, and a notice to be read before signing in.

They come from the environment and are read once. A logo that cannot be used is complained of by `manage.py check`,
which every start runs, and Berth's own stands in for it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from csp.constants import HEADER
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

LARGEST_LOGO = 256 * 1024  # bytes; it is kept in memory
_A_YEAR = 365 * 86400  # seconds
_ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""An SVG is a document: opened by itself it may run nothing and ask for nothing."""


@dataclass(frozen=True, slots=True)
class Logo:
    data: bytes
    content_type: str
    version: str


@cache
def logo() -> Logo | None:
    """The site's own, or None where there is none that can be used."""
    try:
        return _read(settings.SITE_LOGO) if settings.SITE_LOGO else None
    except (OSError, ValueError):
        return None


def logo_address() -> str:
    """Where the pages find it: another one has another address. Empty: the site has none."""
    found = logo()
    return f"{reverse('site-logo')}?{found.version}" if found else ""


def site_logo(request: HttpRequest) -> HttpResponse:
    """The logo, which the sign-in page shows to everybody."""
    found = logo()
    if found is None:
        raise Http404
    response = HttpResponse(found.data, content_type=found.content_type)
    response.headers[HEADER] = _ALONE
    asked = request.META.get("QUERY_STRING") == found.version
    response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable" if asked else "no-cache"
    return response


def check(**kwargs: Any) -> Sequence[CheckMessage]:
    """Django's system check of the settings."""
    try:
        if settings.SITE_LOGO:
            _read(settings.SITE_LOGO)
    except OSError as error:
        return [_complaint(f"cannot be read: {error.strerror}")]
    except ValueError as error:
        return [_complaint(str(error))]
    return []


def _complaint(cause: str) -> CheckMessage:
    return Warning(
        f"The logo {settings.SITE_LOGO} {cause}. Berth's own is shown.", id="portal.W001",
        hint="Let BERTH_SITE_LOGO name an SVG, PNG or WebP file of at most 256 KiB that Berth may read.",
    )  # fmt: skip


def _read(path: Path) -> Logo:
    """Raises OSError, and ValueError for what is no such picture."""
    with path.open("rb") as file:
        data = file.read(LARGEST_LOGO + 1)
    if len(data) > LARGEST_LOGO:
        raise ValueError("is larger than 256 KiB")
    return Logo(data, _kind(data), hashlib.sha256(data).hexdigest()[:12])


def _kind(data: bytes) -> str:
    """The media type by the content: PNG (RFC 2083), WebP (RFC 9649), or an SVG's root element near the beginning."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if b"<svg" in data[:4096]:
        return "image/svg+xml"
    raise ValueError("is neither SVG, PNG nor WebP")
