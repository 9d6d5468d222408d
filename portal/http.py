"""Django for HTTP, each request from its first to its last line in one thread of a pool.

Django's own handler runs a chain of middleware in as many visits to a thread, made for this request alone, as there
are steps (some six for one of ours), and opens a database connection in it. All of our views are plain functions, so
one visit is enough, and the threads and what they hold are used again.

The pieces of an upload do not wait here until they are whole: threads of their own read them from the connection and
write them where they belong.
"""

import asyncio
import contextvars
import gc
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import connection
from django.http import FileResponse
from django.urls import reverse, set_script_prefix

from broker.gateway.body import EXTENSION, Body
from broker.virt.uploads import LARGEST_CHUNK

# As many as a process has connections to PostgreSQL: further ones would only wait for one. Some may wait for long: for
# a directory that does not answer, or for another call with the same key.
THREADS = 20
# Pieces of uploads that arrive at the same time, in each process; those of slow senders must not hold up the pages.
UPLOADS = 8
# Larger than anything that is kept before it is looked at; what is longer is not even kept.
LARGEST_BODY = 20 << 20
_UPLOAD = re.compile(r"/api/v1/images/[0-9a-fA-F-]{32,36}/data/")


class Handler(ASGIHandler):
    """An ASGI application as Django's, for views that are not async."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http")
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if straight := scope.get("extensions", {}).get(EXTENSION):
            await self._upload(scope, straight, send)
            return
        if _announced(scope) > LARGEST_BODY:
            await send({"type": "http.response.start", "status": 413, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body"})
            return
        try:
            body = await self.read_body(_counted(receive))
        except RequestAborted:
            return
        response = await self._in_thread(self._threads, self._answer, scope, body)
        await self.send_response(response, send)
        if response.streaming:
            await self._in_thread(self._threads, response.close)

    async def _upload(self, scope: Any, body: Body, send: Any) -> None:
        try:
            response = await self._in_thread(self._uploads, self._answer, scope, Stream(body))
        except BaseException:
            body.stop()
            raise
        body.hand_back()
        await self.send_response(response, send)

    async def _in_thread(self, threads: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Any:
        context = contextvars.copy_context()  # of this request alone: its language, say
        return await asyncio.get_running_loop().run_in_executor(threads, context.run, function, *arguments)

    def _answer(self, scope: Any, body: Any) -> Any:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = type(self)
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            # Gives back the database connection in the thread that has it; what is to be sent stays.
            response.close()
            body.close()
        return response


class Stream:
    """A body as Django reads it. Nobody keeps a database connection while waiting for somebody's bytes."""

    def __init__(self, body: Body):
        self._body, self._untouched = body, True

    def read(self, size: int = -1) -> bytes:
        if self._untouched:
            self._untouched = False
            connection.close()
        return self._body.read(size)

    def close(self) -> None:
        self._body.close()


def is_upload(method: str, path: str, length: int) -> bool:
    """Whether a request is a piece of an upload, whose body is taken straight from the connection."""
    return method == "PUT" and 0 < length <= LARGEST_CHUNK and bool(_UPLOAD.fullmatch(path))


def _announced(scope: Any) -> int:
    """How long the body is said to be."""
    told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(told) if told.isdigit() else 0


def _counted(receive: Callable[[], Any]) -> Callable[[], Any]:
    """`receive` that ends a body which did not say how long it would be, and is too long."""
    came = 0

    async def counting() -> Any:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        return {"type": "http.disconnect"} if came > LARGEST_BODY else message

    return counting


def application() -> Handler:
    """The handler, once apps, views and addresses are loaded: else the first who come wait, each thread by itself."""
    django.setup(set_prefix=False)
    import_module(settings.ROOT_URLCONF)
    reverse(settings.LOGIN_URL)
    handler = Handler()
    # What is loaded by now stays: looking through it for garbage again and again costs, and finds none.
    gc.collect()
    gc.freeze()
    return handler
