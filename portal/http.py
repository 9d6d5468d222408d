"""Django for HTTP, each request from its first to its last line in one thread of a pool.

Django's own handler runs a chain of middleware in as many visits to a thread, made for this request alone, as there
are steps (some six for one of ours), and opens a database connection in it. All of our views are plain functions, so
one visit is enough, and the threads and what they hold are used again.
"""

import asyncio
import contextvars
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
from django.urls import set_script_prefix

# Some may wait for long: for a directory that does not answer, or for another call with the same key.
THREADS = 40


class Handler(ASGIHandler):
    """An ASGI application as Django's, for views that are not async."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
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


def application() -> Handler:
    """The handler, once the apps and the views are loaded: else the first who comes waits for their import."""
    django.setup(set_prefix=False)
    import_module(settings.ROOT_URLCONF)
    return Handler()
