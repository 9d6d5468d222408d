"""Django for HTTP, each request from its first to its last line in one thread of a pool.

Django's own handler runs a chain of middleware in as many visits to a thread, made for this request alone, as there
are steps (some six for one of ours), and opens a database connection in it. All of our views are plain functions, so
one visit is enough, and the threads and what they hold are used again.
"""

import asyncio
import contextvars
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import IO, Any

import django
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.urls import reverse, set_script_prefix

# As many as a process has connections to PostgreSQL: further ones would only wait for one. Some may wait for long: for
# a directory that does not answer, or for another call with the same key.
THREADS = 20
# A piece of an upload is the largest thing anybody sends; what is longer is not even kept.
LARGEST_BODY = 20 << 20


class Handler(ASGIHandler):
    """An ASGI application as Django's, for views that are not async."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if _announced(scope) > LARGEST_BODY:
            await send({"type": "http.response.start", "status": 413, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body"})
            return
        try:
            body = await self.read_body(_counted(receive))
        except RequestAborted:
            return
        response = await self._in_thread(self._answer, scope, body)
        await self.send_response(response, send)
        if response.streaming:
            await self._in_thread(response.close)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        context = contextvars.copy_context()  # of this request alone: its language, say
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, function, *arguments)

    def _answer(self, scope: Any, body: IO[bytes]) -> Any:
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
