"""A file sent in pieces, whole or from where somebody broke off: single byte ranges of RFC 9110.

Nothing is gathered in memory: a piece is read when the one before has gone.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

PIECE = 1 << 20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def begins(request: HttpRequest) -> bool:
    """Whether this is the beginning of a download, and not somebody going on with one."""
    return re.match(r"bytes=0*[1-9]", request.headers.get("Range", "")) is None


def ranged(request: HttpRequest, file: BinaryIO, *, name: str, etag: str) -> HttpResponseBase:
    """`file` is closed when all is sent. `name`: a plain file name. `etag`: changes whenever the bytes do."""
    size = os.fstat(file.fileno()).st_size
    headers = {
        "Accept-Ranges": "bytes", "ETag": f'"{etag}"', "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff",
    }  # fmt: skip
    wanted = _wanted(request, size, headers["ETag"])
    if wanted is None:
        file.close()
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    first, last = wanted
    headers["Content-Length"] = str(last - first + 1)
    whole = (first, last) == (0, size - 1)
    if not whole:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    pieces = _sent(file, first, last)
    return StreamingHttpResponse(
        _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces,
        status=200 if whole else 206, content_type="application/octet-stream", headers=headers,
    )  # fmt: skip


def _wanted(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """The first and last byte; None when there are no such. What is no single range asks for the whole."""
    whole = (0, size - 1)
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or request.headers.get("If-Range", etag) != etag or not any(found.groups()):
        return whole
    begin, end = found.groups()
    if not begin:
        return (max(size - int(end), 0), size - 1) if int(end) else None
    first, last = int(begin), min(int(end), size - 1) if end else size - 1
    if end and int(end) < first:
        return whole
    return (first, last) if first < size else None


def _sent(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django would gather a plain iterator whole before it sends the first byte over ASGI."""
    while piece := await sync_to_async(_next, thread_sensitive=False)(pieces):
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")
