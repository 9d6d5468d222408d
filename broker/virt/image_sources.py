"""The allow-list of servers that images are fetched from: what may be in it, and what an address on it looks like."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db.models import QuerySet

from broker.access.actor import Actor
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import ImageSource

LONGEST_URL = 1000
MOST_GIB = 16 << 10
VERBS = ("image.manage", "system.view")
_PORTS = 65535


@dataclass(frozen=True)
class Place:
    """Where a file is: the server on the list, and what is asked of it."""

    source: ImageSource
    path: str


def image_sources(actor: Actor) -> QuerySet[ImageSource]:
    """All of them for whoever may bring images along or sees settings, none for others."""
    rows = ImageSource.objects.all()
    if actor.user and not any(actor.held(verb) for verb in VERBS):
        return rows.none()
    return rows


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they can be kept. Raises Invalid."""
    kept: dict[str, Any] = {}
    if "host" in values:
        kept["host"] = names.server(values["host"], field="host")
    if "port" in values:
        kept["port"] = names.number(values["port"], field="port", least=1, most=_PORTS)
    if "private" in values:
        kept["private"] = bool(values["private"])
    if "most_gib" in values:
        kept["most_gib"] = names.number(values["most_gib"], field="most_gib", least=1, most=MOST_GIB)
    if "ca" in values:
        kept["ca"] = _certificates(values["ca"])
    return kept


def _certificates(text: str) -> str:
    text = names.description(text, field="ca")
    if text:
        try:
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            raise Invalid(
                N_("These are no certificates."), field="ca",
                fix=N_("Paste the certificates in PEM, with their BEGIN and END lines, or nothing."),
            ) from None  # fmt: skip
    return text


def place_of(url: str, *, redirected: bool = False) -> Place:
    """The place an address means. Raises Invalid for what is not on the list; nothing is connected to.

    What somebody gives has no query: such often are secrets, and the address is kept. Where a listed server sends us
    on to may have one.
    """
    if not isinstance(url, str) or len(url) > LONGEST_URL * (8 if redirected else 1):
        raise _bad(N_("This address is too long."), N_("Use a shorter one."))
    if not url.isascii() or any(ord(character) <= 32 or character in '\x7f\\"<>' for character in url):
        raise _bad(N_("This is no address of a file."), N_("Write it like https://example.org/disk.qcow2."))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        raise _bad(N_("This is no address of a file."), N_("Write it like https://example.org/disk.qcow2.")) from None
    if parts.scheme != "https":
        raise _bad(N_("Images are fetched by HTTPS alone."), N_("Use an address that begins with https://."))
    if "@" in parts.netloc or parts.fragment or (parts.query and not redirected):
        raise _bad(
            N_("This address has more than a server and a path."),
            N_("Leave out names and passwords, and what follows a ? or a #; or fetch it yourself and upload it."),
        )
    source = ImageSource.objects.filter(host=host, port=port).first()
    if source is None:
        raise _bad(
            N_("%(host)s is not on the list of servers that images are fetched from."),
            N_("Ask an administrator to put it there, or fetch the file yourself and upload it."),
            host=f"{host[:253]}:{port}",
        )
    return Place(source, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _bad(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="url", fix=fix, **params)
