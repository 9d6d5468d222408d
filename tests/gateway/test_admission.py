"""The upgrade request on paper: every way of asking wrongly, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.admission import Policy, Rejected, normal_origin

GOOD = {
    "origin": ["https://vdi.example"],
    "cookie": ["a=b; sessionid=k3y"],
    "sec-websocket-protocol": ["binary, berth.ticket." + "s" * 43],
}
POLICY = Policy.of(["https://vdi.example", "http://localhost:8000"])


def test_a_good_request():
    presented = POLICY.admit("GET", "/console/ws", GOOD, "192.0.2.1")
    assert (presented.secret, presented.web_session, presented.address) == ("s" * 43, "k3y", "192.0.2.1")
    assert "s" * 43 not in repr(presented)
    assert "k3y" not in repr(presented)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"origin": ["https://vdi.example", "https://vdi.example"]}, 400),
        ({"origin": ["https://vdi.example:443/"]}, 403),
        ({"origin": ["https://vdi.example.evil.org"]}, 403),
        ({"origin": ["https://vdi.example\\@evil.org"]}, 403),
        ({"origin": ["https://[::1"]}, 403),
        ({"origin": ["https://vdi.example:99999"]}, 403),
        ({"origin": []}, 403),
        ({"cookie": []}, 401),
        ({"cookie": ["sessionid="]}, 401),
        ({"cookie": ["sessionid=" + "x" * 200]}, 401),
        ({"sec-websocket-protocol": []}, 401),
        ({"sec-websocket-protocol": ["binary", "berth.ticket." + "s" * 42 + "="]}, 401),
        ({"sec-websocket-protocol": ["binary", "berth.ticket." + "s" * 43, "berth.ticket." + "t" * 43]}, 401),
    ],
)
def test_bad_headers(change, status):
    with pytest.raises(Rejected) as info:
        POLICY.admit("GET", "/console/ws", {**GOOD, **change}, "")
    assert info.value.status == status


def test_the_origin_is_compared_by_scheme_host_and_port():
    for origin in ("https://VDI.example", "https://vdi.example:443", "http://localhost:8000"):
        assert POLICY.admit("GET", "/console/ws", {**GOOD, "origin": [origin]}, "")
    with pytest.raises(ValueError, match="not an origin"):
        Policy.of(["vdi.example"])


def test_the_address_is_taken_from_the_proxy_only_where_one_is_configured():
    headers = {**GOOD, "x-forwarded-for": ["6.6.6.6, 192.0.2.9"]}
    assert POLICY.admit("GET", "/console/ws", headers, "10.0.0.1").address == "10.0.0.1"
    behind = Policy.of(["https://vdi.example"], proxies=["10.0.0.0/24"])
    assert behind.admit("GET", "/console/ws", headers, "10.0.0.1").address == "192.0.2.9"
    assert behind.admit("GET", "/console/ws", headers, "198.51.100.1").address == "198.51.100.1"
    chained = {**GOOD, "x-forwarded-for": ["6.6.6.6, 192.0.2.9", "10.0.0.2"]}
    assert behind.admit("GET", "/console/ws", chained, "10.0.0.1").address == "192.0.2.9"


@given(st.text(max_size=60))
def test_no_text_is_an_origin_by_accident(text):
    parts = normal_origin(text)
    if parts is not None:
        assert parts[0] in ("http", "https")
        assert parts[1]
        assert 0 < parts[2] < 65536


@given(
    st.sampled_from(["GET", "POST", "get", ""]),
    st.one_of(st.text(max_size=30), st.just("/console/ws")),
    st.dictionaries(st.sampled_from([*GOOD, "x"]), st.lists(st.text(max_size=80), max_size=3)),
)
def test_rubbish_is_rejected_and_never_an_error(method, path, headers):
    with pytest.raises(Rejected):
        POLICY.admit(method, path, headers, "")
