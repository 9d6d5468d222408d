"""The CONNECT request: only machines by their id, only with a ticket, and nothing else whatever is sent."""

import base64
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.connections.native import place
from broker.gateway.admission import Rejected
from broker.gateway.native.connect import MOST, answer, read

ID = "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01"
SECRET = "s" * 43


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def request(to: str = f"{place(ID)}:5900", credentials: str | None = basic(f"berth:{SECRET}"), *more: str) -> bytes:
    lines = [f"CONNECT {to} HTTP/1.0", f"Host: {to}"]
    lines += [f"Proxy-Authorization: {credentials}"] if credentials is not None else []
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def test_what_remote_viewer_sends():
    asked = read(request())
    assert (asked.machine, asked.secret) == (ID, SECRET)
    assert SECRET not in repr(asked)


@pytest.mark.parametrize(
    "to",
    ["127.0.0.1:5900", "localhost:22", "[::1]:5900", f"{ID}.berth.invalid:22", f"{ID}.berth.invalid", f"{ID}:5900",
     f"evil.example/{ID}.berth.invalid:5900", f"{ID}.berth.invalid.evil.example:5900", f"x{ID}.berth.invalid:5900",
     f"{ID}.berth.invalid:5900@evil.example:80", f"{ID}.berthxinvalid:5900", f"{ID}.berth.invalid:05900", ":5900", ":"],
)  # fmt: skip
def test_never_an_open_proxy(to):
    with pytest.raises(Rejected) as info:
        read(request(to))
    assert info.value.status == 403


@pytest.mark.parametrize(
    "credentials",
    [None, "", "Basic", "Basic !!!", basic("berth"), basic(f"other:{SECRET}"), basic(f"berth:{SECRET}x"),
     f"Bearer {SECRET}", basic(f"berth:{SECRET}") + " x", "Basic é"],
)  # fmt: skip
def test_without_a_ticket(credentials):
    with pytest.raises(Rejected) as info:
        read(request(credentials=credentials))
    assert info.value.status == 407
    assert b"Proxy-Authenticate" in answer(info.value)
    assert SECRET.encode() not in answer(info.value)


def test_two_tickets_are_none():
    with pytest.raises(Rejected):
        read(request(f"{place(ID)}:5900", basic(f"berth:{SECRET}"), f"proxy-authorization: {basic(f'berth:{SECRET}')}"))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT x HTTP/2.0\r\n\r\n", b"CONNECT  x HTTP/1.1\r\n\r\n",
     b"CONNECT x\r\n\r\n", request()[:-2], request() + b"x", request().replace(b"Host:", b"Host :"),
     request().replace(b"Host:", b" Host:"), request().replace(b"Host: ", b"Host: \x00")],
)  # fmt: skip
def test_what_is_no_request(raw):
    with pytest.raises(Rejected) as info:
        read(raw)
    assert info.value.status == 400


def test_a_long_one():
    with pytest.raises(Rejected) as info:
        read(request(f"{place(ID)}:5900", basic(f"berth:{SECRET}"), "X: " + "x" * MOST))
    assert info.value.status == 431


@given(st.binary(max_size=400), st.integers(0, 120), st.booleans())
@example(noise=b"0", at=8, inserted=False)
def test_fuzz(noise, at, inserted):
    raw = request()
    raw = raw[:at] + noise + raw[at if inserted else at + len(noise) :]
    for candidate in (raw, noise + b"\r\n\r\n", b"CONNECT " + noise + b"\r\n\r\n"):
        try:
            asked = read(candidate)
        except Rejected as rejection:
            assert rejection.status in (400, 403, 407, 431)
        else:
            # the noise may be another digit of the id: then it is that machine which was asked for, and no other
            assert str(UUID(asked.machine)) == asked.machine
            assert f"connect {place(asked.machine)}:".encode() in candidate.lower()
            assert len(asked.secret) == 43
