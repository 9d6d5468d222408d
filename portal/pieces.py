"""A file that is made while it is sent: its pieces one by one, and an end when nobody wants more of it."""

from collections.abc import Iterator
from typing import Protocol, Self

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse


class Pieces(Protocol):
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...


def sent(request: HttpRequest, pieces: Pieces, *, media_type: str, name: str) -> StreamingHttpResponse:
    """`pieces` are closed when all is sent, or when the client is gone. `name`: a plain file name."""
    return StreamingHttpResponse(
        _OneByOne(pieces) if isinstance(request, ASGIRequest) else pieces,
        content_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


class _OneByOne:
    """Django would gather a plain iterator whole before it sends the first byte over ASGI."""

    def __init__(self, pieces: Pieces):
        self._pieces = pieces
        self.close = pieces.close

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if piece := await sync_to_async(_next)(self._pieces):
            return piece
        raise StopAsyncIteration


def _next(pieces: Pieces) -> bytes:
    return next(pieces, b"")
