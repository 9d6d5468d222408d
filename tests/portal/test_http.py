"""Django for HTTP in one visit to a thread: what goes in, what comes out; threads keep nothing of a request."""

import asyncio
import io
import threading
from http.cookies import SimpleCookie

import pytest
from django.core import signals
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils import translation

from broker.gateway.body import EXTENSION
from broker.virt.uploads import LARGEST_CHUNK
from portal.http import Handler, is_upload


def greet(request):
    seen.append((threading.get_ident(), translation.get_language()))
    translation.activate(request.GET.get("language", "en"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    response = HttpResponse(request.method + request.body.decode())
    response.set_cookie("a", "1")
    return response


def store(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(b"".join(iter(lambda: request.read(4), b"")))


def stream(request):
    return StreamingHttpResponse(iter([b"one ", b"two"]))


def fail(request):
    raise RuntimeError("a defect")


urlpatterns = [path("greet", greet), path("store", store), path("stream", stream), path("fail", fail)]
seen: list[tuple[int, str | None]] = []


@pytest.fixture
def ask(settings):
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, ["django.middleware.common.CommonMiddleware"]
    settings.ALLOWED_HOSTS = ["here"]
    handler = Handler()
    seen.clear()

    async def ask(
        target: str, method: str = "GET", body: bytes = b"", straight: object = None
    ) -> tuple[int, dict[str, str], bytes]:
        address, _, query = target.partition("?")
        scope = {
            "type": "http", "method": method, "path": address, "query_string": query.encode(), "http_version": "1.1",
            "headers": [(b"host", b"here")], "server": ("here", 80), "client": ("192.0.2.1", 1), "scheme": "http",
            "extensions": {EXTENSION: straight} if straight else {},
        }  # fmt: skip
        asked = [{"type": "http.request", "body": body, "more_body": False}]
        told: list[dict] = []

        async def receive():
            return asked.pop(0) if asked else {"type": "http.disconnect"}

        async def send(message):
            told.append(message)

        await handler(scope, receive, send)
        headers = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
        return told[0]["status"], headers, b"".join(part.get("body", b"") for part in told[1:])

    return ask


@pytest.mark.django_db(transaction=True)
async def test_a_request_and_its_answer(ask):
    status, headers, body = await ask("/greet", "POST", b"ing")
    assert (status, body) == (200, b"POSTing")
    assert SimpleCookie(headers["set-cookie"])["a"].value == "1"
    assert (await ask("/stream"))[2] == b"one two"
    assert (await ask("/nowhere"))[0] == 404
    assert (await ask("/fail"))[0] == 500


@pytest.mark.django_db(transaction=True)
async def test_a_language_stays_with_its_request(ask):
    for _ in range(3):
        await asyncio.gather(*(ask(f"/greet?language={language}") for language in ("de", "fr") * 20))
    assert {language for _, language in seen} == {"en"}
    assert threading.get_ident() not in {thread for thread, _ in seen}


@pytest.mark.django_db(transaction=True)
async def test_the_end_is_told_in_the_thread_of_the_request(ask):
    """There the database connection is given back: a thread that waits for work must not keep one."""
    ended: list[int] = []

    def note(**kwargs):
        ended.append(threading.get_ident())

    signals.request_finished.connect(note)
    try:
        await ask("/greet")
    finally:
        signals.request_finished.disconnect(note)
    assert ended == [seen[0][0]]


class Straight(io.BytesIO):
    """A body in a connection; notes which threads read it and whether a database connection was kept meanwhile."""

    def __init__(self, content: bytes):
        super().__init__(content)
        self.read_by: set[tuple[str, bool]] = set()
        self.handed_back = self.stopped = 0

    def read(self, size=-1):
        self.read_by.add((threading.current_thread().name[:6], connection.connection is not None))
        return super().read(size)

    def hand_back(self):
        self.handed_back += 1

    def stop(self):
        self.stopped += 1


@pytest.mark.django_db(transaction=True)
async def test_an_upload_is_read_by_a_thread_of_its_own_without_a_database_connection(ask):
    body = Straight(b"many bytes")
    assert (await ask("/store", "PUT", straight=body))[2] == b"many bytes"
    assert body.read_by == {("upload", False)}
    assert (body.handed_back, body.stopped, body.closed) == (1, 0, True)
    broken = Straight(b"x")
    assert (await ask("/fail", "PUT", straight=broken))[0] == 500
    assert broken.handed_back == 1


def test_what_is_an_upload():
    address = "/api/v1/images/01234567-89ab-cdef-0123-456789abcdef/data/"
    assert is_upload("PUT", address, 1) and is_upload("PUT", address, LARGEST_CHUNK)
    assert not any((
        is_upload("POST", address, 1), is_upload("PUT", address, LARGEST_CHUNK + 1), is_upload("PUT", address, 0),
        is_upload("PUT", address + "x", 1), is_upload("PUT", "/api/v1/images/../data/", 1),
    ))  # fmt: skip
