"""A file is fetched by HTTPS from a server on the allow-list, and gone on with where it broke off.

The server's name is looked up once for each connection, its addresses are judged, and the connection goes to one that
was: a name that changes between two look-ups gains nothing. Redirects are followed to servers on the list alone.
Proxies of the environment are not used, for they would look names up themselves.
"""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from broker.core import clock
from broker.core.addresses import address_of, is_ours, is_public
from broker.core.errors import BerthError, Invalid, NoCapacity, Unavailable
from broker.core.text import gettext_noop as N_

from . import uploads
from .image_sources import Place, place_of
from .models import ImageSource

TRIES = 5
"""How often in a row a connection may break without a byte having come."""
PAUSE_SECONDS = 2.0
SILENCE_SECONDS = 30.0
LONGEST_SECONDS = 24 * 3600.0
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass
class Known:
    """What is known of the file: its size, and by what the server tells one version of it from another."""

    size: int = 0
    validator: str = ""


class _Connection(http.client.HTTPSConnection):
    """To an address that was judged, by the name that the certificate is to be for."""

    def __init__(self, source: ImageSource, address: tuple[Any, ...], family: int):
        trusted = ssl.create_default_context(cadata=source.ca or None)
        super().__init__(source.host, source.port, timeout=SILENCE_SECONDS, context=trusted)
        self._address, self._family, self._trusted = address, family, trusted

    def connect(self) -> None:
        plain = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            plain.settimeout(SILENCE_SECONDS)
            plain.connect(self._address)
            self.sock = self._trusted.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def fetch(path: Path, url: str, known: Known, *, learn: Callable[[Known], None], tick: Callable[[int], None]) -> int:
    """Write what is at `url` to `path`; returns its size.

    `known` is what an earlier attempt learned, and `learn` is told what this one does, before its first byte is
    written. `tick` hears how many bytes are here and may raise to end it. Raises Invalid, NoCapacity and Unavailable.
    """
    with uploads.opened(path, os.O_RDWR | os.O_CREAT) as file:
        ends, tries = clock.steady() + LONGEST_SECONDS, 0
        while True:
            before = os.fstat(file).st_size
            try:
                return _attempt(file, url, known, learn, tick)
            except ssl.SSLCertVerificationError as error:
                raise _bad(
                    N_("The server's certificate does not fit: %(reason)s."),
                    N_("Look whether it is the right server, and who signs its certificate."),
                    reason=error.verify_message[:200],
                ) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                tries = tries + 1 if os.fstat(file).st_size <= before else 0
                if tries >= TRIES or clock.steady() > ends:
                    raise _broken(error) from error
            tick(os.fstat(file).st_size)
            time.sleep(PAUSE_SECONDS)


def _attempt(file: int, url: str, known: Known, learn: Callable[[Known], None], tick: Callable[[int], None]) -> int:
    here = os.fstat(file).st_size if known.validator else 0
    if here and here == known.size:
        return here
    connection, answer, place = _open(url, here, known.validator)
    try:
        here = _begin(answer, place, here, known)
        os.ftruncate(file, here)
        learn(known)
        ends = clock.steady() + LONGEST_SECONDS
        while here < known.size and (piece := answer.read(min(uploads.PIECE, known.size - here))):
            _write(file, piece, here)
            here += len(piece)
            tick(here)
            if clock.steady() > ends:
                raise TimeoutError("it takes more than a day")
    finally:
        connection.close()
    if here != known.size:
        raise ConnectionError("the connection ended in the middle")
    return here


def _write(file: int, piece: bytes, offset: int) -> None:
    try:
        done = 0
        while done < len(piece):
            done += os.pwrite(file, piece[done:], offset + done)
    except OSError as error:
        raise NoCapacity(
            N_("There is no room for this image on the server (%(reason)s)."), rule="upload.space",
            fix=N_("Free space in Berth's data directory, and fetch it again."), reason=error.strerror or "?",
        ) from error  # fmt: skip


def _open(url: str, here: int, validator: str) -> tuple[_Connection, http.client.HTTPResponse, Place]:
    """Ask for the file, from `here` on if it is still that version; redirects are followed."""
    asked = {"User-Agent": "Berth", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    if here:
        asked |= {"Range": f"bytes={here}-", "If-Range": validator}
    for number in range(MOST_REDIRECTS + 1):
        place = place_of(url, redirected=number > 0)
        connection = _Connection(place.source, *_address_of(place.source))
        try:
            connection.request("GET", place.path, headers=asked)
            answer = connection.getresponse()
            if answer.status not in _REDIRECTS:
                return connection, answer, place
            url = urljoin(url, answer.getheader("Location") or "")
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise _bad(N_("The server sends us from place to place."), N_("Give the address where the file really is."))


def _address_of(source: ImageSource) -> tuple[tuple[Any, ...], int]:
    """An address of the server that may be connected to. Raises Invalid when it has another one."""
    found = socket.getaddrinfo(source.host, source.port, type=socket.SOCK_STREAM)
    for _family, _type, _proto, _name, address in found:
        told = address_of(str(address[0]))
        if not (is_ours(told) if source.private else is_public(told)):
            raise _bad(
                N_("%(host)s has the address %(address)s, which is not of the public internet."),
                N_("If that is right, mark the server as a private one on the list."),
                host=source.host, address=told,
            )  # fmt: skip
    family, _type, _proto, _name, address = found[0]
    return address, family


def _begin(answer: http.client.HTTPResponse, place: Place, here: int, known: Known) -> int:
    """Where the bytes of this answer begin, and into `known` what it says of the file."""
    if answer.status not in (200, 206):
        kind = Unavailable if answer.status >= 500 or answer.status == 429 else Invalid
        raise kind(
            N_("%(host)s answers %(status)s."), rule="image.source",
            fix=N_("Look whether the address is right, and fetch it again."),
            host=str(place.source), status=answer.status,
        )  # fmt: skip
    if answer.getheader("Content-Encoding", "identity") != "identity":
        raise _bad(N_("The server packs the file, though it was asked not to."), N_("Fetch it yourself and upload it."))
    length = answer.getheader("Content-Length") or ""
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise _bad(N_("The server does not say how large the file is."), N_("Fetch it yourself and upload it."))
    if answer.status == 206:
        told = answer.getheader("Content-Range", "")
        if told != f"bytes {here}-{known.size - 1}/{known.size}" or int(length) != known.size - here:
            known.validator = ""  # begun anew
            raise ConnectionError("another part came than was asked for")
        return here
    known.size = int(length)
    known.validator = _validator(answer)
    if known.size > place.source.most_gib << 30:
        raise _bad(
            N_("The file has %(size)s bytes, more than %(most)s GiB."),
            N_("Ask an administrator to allow more from this server."),
            size=known.size, most=place.source.most_gib,
        )  # fmt: skip
    return 0


def _validator(answer: http.client.HTTPResponse) -> str:
    """A strong ETag; a date is none, for a file may change twice within its second. Empty: begun anew each time."""
    tag = answer.getheader("ETag") or ""
    return tag if tag.startswith('"') and len(tag) < 256 else ""


def _broken(error: Exception) -> BerthError:
    return Unavailable(
        N_("The file could not be fetched: %(reason)s."), rule="image.source",
        fix=N_("Look whether the server is well, and fetch it again."), reason=str(error)[:200] or type(error).__name__,
    )  # fmt: skip


def _bad(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="url", fix=fix, **params)
