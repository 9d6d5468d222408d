"""What is no good ticket, shown at the door: of the wrong kind, time, realm, key, or shown before.

Row S35: nobody is signed in, and it is said why.
"""

import base64
from pathlib import Path

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client, override_settings
from django.urls import reverse

from broker.directories.kerberos import ticket as tickets
from broker.directories.models import User
from broker.events.models import Event
from tests.servers import kdc as kdcs

from .test_kerberos import show, words


@pytest.fixture
def erin(slapd):
    return slapd.person("erin")


@pytest.fixture
def token_of(kdc):
    """Make a token as a browser of erin would."""
    made = []

    def token(name="erin", **how) -> str:
        environment = kdc.ticket(name)
        if "late" in how:
            made.append(kdcs.Client(environment))  # the service's ticket, while the clock is still right
        made.append(kdcs.Client(environment, **how))
        return made[-1].token

    yield token
    for program in made:
        program.close()


def refused(directory, token, status=403, **more) -> str:
    client = Client()
    response = show(directory, token, client, **more)
    assert response.status_code == status
    assert SESSION_KEY not in client.session and "berth_device" not in response.cookies
    assert "WWW-Authenticate" not in response, "a browser would ask for a password of its own"
    return words(response)


@pytest.mark.parametrize("mech", ["spnego", "krb5"])
def test_a_ticket_shown_again_is_refused(token_of, ticketed, erin, mech):
    token = token_of(mech=mech)
    assert show(ticketed, token).status_code == 302
    assert "a second time" in refused(ticketed, token)


@pytest.mark.parametrize("mech", ["spnego", "krb5"])
def test_a_wrong_clock_is_said_in_words(token_of, ticketed, erin, mech):
    said = refused(ticketed, token_of(mech=mech, late="+20m"))
    assert "clock of this computer" in said and "Set the clock" in said


def test_only_the_listed_realms(token_of, make_ticketed, erin):
    directory = make_ticketed(kerberos_realms=["OTHER.ORG"])
    assert "Tickets of the realm EXAMPLE.ORG are not accepted" in refused(directory, token_of())
    assert not User.objects.filter(username="erin").exists()


def test_a_realm_in_another_case_is_another_realm(token_of, make_ticketed, erin):
    refused(make_ticketed(kerberos_realms=["example.org"]), token_of())


def test_tickets_for_other_services_of_the_same_host_are_nothing_here(token_of, make_ticketed, kdc, erin):
    """The uploaded keytab had the key of host/…, too: it is not kept."""
    said = refused(make_ticketed(), token_of(service="host/berth.example.org"))
    assert "whose key Berth does not have" in said


def test_a_keytab_that_is_out_of_date_is_said_so(token_of, make_ticketed, kdc, erin):
    service = "HTTP/turned.example.org"
    old = kdc.keytab(service)
    directory = make_ticketed(keytab=old)
    assert show(directory, token_of(service=service)).status_code == 302
    kdc.keytab(service)
    kdc.person("frank")
    assert "whose key Berth does not have" in refused(directory, token_of("frank", service=service))


@pytest.mark.parametrize("place", [-5, -60, -300, 0.3, 0.5])
def test_a_ticket_with_one_bit_changed(token_of, ticketed, erin, place):
    raw = bytearray(base64.b64decode(token_of()))
    raw[int(len(raw) * place) if isinstance(place, float) else place] ^= 0x01
    client = Client()
    response = show(ticketed, base64.b64encode(raw).decode(), client)
    assert response.status_code in (400, 403) and SESSION_KEY not in client.session


@pytest.mark.parametrize("mech", ["spnego", "krb5"])
def test_half_a_ticket(token_of, ticketed, erin, mech):
    raw = base64.b64decode(token_of(mech=mech))
    for length in (1, 2, 16, len(raw) // 2, len(raw) - 1):
        client = Client()
        assert show(ticketed, base64.b64encode(raw[:length]).decode(), client).status_code in (400, 403)
        assert SESSION_KEY not in client.session


def ntlm_in_spnego() -> bytes:
    """A NegTokenInit (RFC 4178) whose only mechanism is NTLMSSP, as Windows sends it without a ticket."""

    def der(tag: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([tag, len(content)]) + content

    ntlm = bytes.fromhex("060a2b06010401823702020a")
    message = der(0xA2, der(0x04, b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2" + bytes(16)))
    init = der(0xA0, der(0x30, der(0xA0, der(0x30, ntlm)) + message))
    return der(0x60, bytes.fromhex("06062b0601050502") + init)


def kerberos_second() -> bytes:
    """The same with Kerberos as the second choice: it would take a further step."""

    def der(tag: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([tag, len(content)]) + content

    ntlm, kerberos = bytes.fromhex("060a2b06010401823702020a"), bytes.fromhex("06092a864886f712010202")
    init = der(0xA0, der(0x30, der(0xA0, der(0x30, ntlm + kerberos)) + der(0xA2, der(0x04, b"NTLMSSP\0\x01\0\0\0"))))
    return der(0x60, bytes.fromhex("06062b0601050502") + init)


@pytest.mark.parametrize("token", [b"NTLMSSP\0\x01\0\0\0" + bytes(24), ntlm_in_spnego()], ids=["bare", "in spnego"])
def test_ntlm_is_not_taken(ticketed, erin, token):
    assert "instead of a Kerberos ticket" in refused(ticketed, base64.b64encode(token).decode())


def test_several_steps_are_refused_in_words(ticketed, erin):
    assert "in several steps" in refused(ticketed, base64.b64encode(kerberos_second()).decode())


@pytest.mark.parametrize(
    "shown", ["", "====", "not base64", "YWJj\0", "A" * (65 << 10), base64.b64encode(b"x" * 300).decode()]
)
def test_what_is_no_token(ticketed, erin, shown):
    client = Client()
    assert show(ticketed, shown, client).status_code in (400, 403)
    assert SESSION_KEY not in client.session


def test_the_largest_is_looked_at_and_a_larger_one_is_not(ticketed, monkeypatch):
    looked = []
    monkeypatch.setattr(tickets, "_accepted", lambda token, place: looked.append(len(token)) or 1 / 0)
    refused(ticketed, base64.b64encode(bytes(tickets.LONGEST_TOKEN + 1)).decode(), status=400)
    assert looked == []
    with pytest.raises(ZeroDivisionError):
        show(ticketed, base64.b64encode(b"\x60" + bytes(tickets.LONGEST_TOKEN - 1)).decode())
    assert looked == [tickets.LONGEST_TOKEN]


@pytest.mark.parametrize("scheme", ["Basic ZXJpbjplcmlu", "Bearer abc", "NTLM TlRMTVNTUAAB", "Negotiatex abc", ""])
def test_other_schemes_are_asked_for_a_ticket(ticketed, scheme):
    answer = Client().post(reverse("portal:kerberos", args=[ticketed.pk]), HTTP_AUTHORIZATION=scheme)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Negotiate")


def test_forms_of_other_sites_bring_nobody_in(token_of, ticketed, erin):
    client = Client(enforce_csrf_checks=True)
    assert show(ticketed, token_of(), client).status_code == 403
    assert SESSION_KEY not in client.session


def test_links_of_others_do_not_lead_away(token_of, ticketed, erin):
    assert show(ticketed, token_of(), next="https://evil.example.org/").url == "/"


@override_settings(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)
def test_in_production_only_over_https(token_of, ticketed, erin):
    token = token_of()
    assert "encrypted connection" in refused(ticketed, token)
    assert show(ticketed, token, secure=True).status_code == 302, "and it was not spent"


def test_nonsense_is_slowed_down_and_a_good_ticket_is_not(token_of, ticketed, erin, settings):
    settings.SIGN_IN_TRIES = 3
    codes = [show(ticketed, "bm9uc2Vuc2U=").status_code for _ in range(5)]
    assert codes[0] == 403 and codes[-1] == 429
    response = show(ticketed, "bm9uc2Vuc2U=")
    assert int(response["Retry-After"]) > 0
    assert Event.objects.filter(kind="user.sign-in-refused").count() <= 4
    assert show(ticketed, "bm9uc2Vuc2U=", REMOTE_ADDR="192.0.2.9").status_code == 403, "another network is not"
    assert show(ticketed, token_of()).status_code == 302


def test_neither_ticket_nor_keytab_is_written_anywhere(token_of, ticketed, erin, caplog, tmp_path, kdc):
    token = token_of()
    show(ticketed, token)
    refused(ticketed, token)
    told = str([list(Event.objects.values())]) + caplog.text
    assert token[:60] not in told and token[-60:] not in told
    key = kdc.web[-40:]
    for place in Path(tmp_path).rglob("*"):
        if place.is_file():
            assert key not in place.read_bytes()
    assert [place.name for place in Path(tmp_path).iterdir()] == ["kerberos.rcache"]
    assert (tmp_path / "kerberos.rcache").stat().st_mode & 0o077 == 0
