"""Files sent in ranges: what RFC 9110 says of single ones, and the whole for everything else."""

import asyncio

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import RequestFactory

from portal.ranges import begins, ranged

BYTES = bytes(range(200))


@pytest.fixture
def answer(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BYTES)

    def ask(**headers):
        request = RequestFactory().get("/", headers=headers)
        file = path.open("rb")
        response = ranged(request, file, name="a.qcow2", etag="e")
        body = b"".join(response.streaming_content) if response.streaming else response.content
        assert file.closed
        return response, body

    return ask


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 9), ("bytes=190-", 206, 190, 199), ("bytes=-5", 206, 195, 199),
        ("bytes=100-5000", 206, 100, 199), ("bytes=-5000", 200, 0, 199), ("bytes=0-", 200, 0, 199),
        ("", 200, 0, 199), ("bytes=9-3", 200, 0, 199), ("bytes=-", 200, 0, 199), ("bytes=a-b", 200, 0, 199),
        ("bytes=0-1,5-6", 200, 0, 199), ("lines=1-2", 200, 0, 199), ("bytes=" + "9" * 30 + "-", 200, 0, 199),
    ],
)  # fmt: skip
def test_a_range_or_the_whole(answer, wanted, status, first, last):
    response, body = answer(**({"Range": wanted} if wanted else {}))
    assert (response.status_code, body) == (status, BYTES[first : last + 1])
    assert response["Content-Length"] == str(len(body)) and response["Accept-Ranges"] == "bytes"
    assert response.get("Content-Range") == (f"bytes {first}-{last}/200" if status == 206 else None)


@pytest.mark.parametrize("wanted", ["bytes=200-", "bytes=1000-1001", "bytes=-0"])
def test_what_is_not_there(answer, wanted):
    response, body = answer(Range=wanted)
    assert (response.status_code, response["Content-Range"], body) == (416, "bytes */200", b"")


def test_going_on_with_another_file_begins_anew(answer):
    assert answer(**{"Range": "bytes=5-", "If-Range": '"e"'})[0].status_code == 206
    assert answer(**{"Range": "bytes=5-", "If-Range": '"other"'})[0].status_code == 200


def test_what_counts_as_a_beginning():
    for wanted, first in (("", True), ("bytes=0-", True), ("bytes=-5", True), ("bytes=5-", False), ("bytes=00-", True)):
        assert begins(RequestFactory().get("/", headers={"Range": wanted})) is first


def test_over_asgi_it_is_not_gathered(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BYTES * 20000)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    file = path.open("rb")
    response = ranged(ASGIRequest(scope, None), file, name="a", etag="e")

    async def first() -> tuple[bytes, int]:
        async for piece in response:
            return piece, file.tell()  # here: the end of the loop ends the answer, which closes the file
        return b"", 0

    assert asyncio.run(first()) == ((BYTES * 20000)[: 1 << 20], 1 << 20)
