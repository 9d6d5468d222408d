"""Hostile answers of a provider, and browsers that come back with what is not theirs: nobody is signed in by any."""

import time

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from broker.core import addresses
from broker.directories.kinds.oidc import line
from broker.directories.kinds.oidc.config import parse
from broker.directories.models import User
from tests.servers import provider as servers

from .test_oidc import enter, go, ours


def nobody(client: Client, answer, status: int = 403) -> str:
    assert answer.status_code == status, answer
    assert SESSION_KEY not in client.session and not User.objects.filter(username="erin").exists()
    return answer.content.decode()


@pytest.mark.parametrize(
    "more",
    [
        {"nonce": "another"}, {"nonce": None}, {"aud": "another client"}, {"aud": ["other", servers.CLIENT]},
        {"aud": None}, {"azp": "another client"}, {"iss": "https://evil.example"}, {"iss": None}, {"exp": 1},
        {"exp": None}, {"exp": "never"}, {"exp": True}, {"iat": 4_000_000_000},
        {"iat": None}, {"nbf": 4_000_000_000}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 300},
        {"preferred_username": "no\u202ename"},
        {"preferred_username": ["erin"]}, {"groups": "admins"}, {"groups": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_not_right(provider, make, more):
    provider.more.update(more)
    text = nobody(*enter(provider, make()))
    assert "could not be used" in text and "evil.example" not in text


@pytest.mark.parametrize("fault", ["none", "hs-with-public-key", "signed-by-another"])
def test_signatures_that_are_none(provider, make, fault):
    provider.faults.add(fault)
    nobody(*enter(provider, make()))


@pytest.mark.parametrize("header", [{"alg": "PS256"}, {"kid": "unknown"}, {"crit": ["x"], "x": 1}, {"alg": 7}], ids=str)
def test_headers_that_lie(provider, make, header):
    provider.header.update(header)
    nobody(*enter(provider, make()))


def test_a_key_the_token_brings_along_is_not_looked_at(provider, make):
    stranger = servers.SigningKey()
    provider.header.update(jwk=stranger.public(), kid=stranger.kid, jku="https://evil.example/keys")
    provider.key, provider.published = stranger, [provider.key.public()]
    nobody(*enter(provider, make()))


def test_keys_that_are_too_short_or_for_something_else_or_garbage(provider, make):
    short, other = servers.SigningKey(size=1024), provider.key.public() | {"use": "enc"}
    provider.key, provider.published = (
        short,
        [short.public(), other, "x", {"kty": "RSA"}, {"kty": "oct", "k": "eA"}, None],
    )
    nobody(*enter(provider, make()))


def test_an_answer_counts_once_and_in_the_browser_that_asked_alone(provider, make):
    directory = make()
    client, stranger = Client(), Client()
    back = ours(provider.sign_in(go(client, directory), "erin"))
    assert "not begun in this browser" in nobody(stranger, stranger.get(back))
    go(stranger, directory)
    nobody(stranger, stranger.get(back))
    forged = back.replace("state=", "state=x")
    nobody(client, client.get(forged))
    assert client.get(back).status_code == 302
    after = client.get(back)
    assert after.status_code == 403 and "used already" in after.content.decode()


def test_a_code_that_was_used_or_is_of_another_sign_in(provider, make):
    directory = make()
    client, stranger = Client(), Client()
    stolen = dict(
        part.split("=") for part in provider.sign_in(go(stranger, directory), "erin").split("?")[1].split("&")
    )
    mine = provider.sign_in(go(client, directory), "erin")
    code = dict(part.split("=") for part in mine.split("?")[1].split("&"))["code"]
    # The verifier is another's: the provider refuses by PKCE, and the code is gone with it.
    nobody(client, client.get(ours(mine.replace(code, stolen["code"]))))
    second = provider.sign_in(go(client, directory), "erin")
    code = dict(part.split("=") for part in second.split("?")[1].split("&"))["code"]
    provider.codes.pop(code)
    nobody(client, client.get(ours(second)))


def test_an_answer_is_taken_of_the_provider_it_was_asked_of(provider, make):
    one, two = make("One"), make("Two")
    client = Client()
    back = ours(provider.sign_in(go(client, one), "erin"))
    nobody(client, client.get(back.replace(str(one.pk), str(two.pk))))
    mixed = ours(provider.sign_in(go(client, one), "erin")).replace("iss=", "iss=https%3A%2F%2Fevil.example%2F")
    nobody(client, client.get(mixed))


def test_the_wait_is_over_after_ten_minutes(provider, make, monkeypatch):
    from portal.web import providers

    client, directory = Client(), make()
    back = ours(provider.sign_in(go(client, directory), "erin"))
    monkeypatch.setattr(providers, "SECONDS", -1)
    nobody(client, client.get(back))


def test_the_redirect_uri_is_exact(provider, make, settings):
    directory = make()
    path = reverse("portal:provider-back", args=[directory.pk])
    settings.ORIGINS = ["https://vdi.example.org", "https://other.example.org"]
    provider.redirects.add(f"https://vdi.example.org{path}")
    assert enter(provider, directory)[1].status_code == 302, "an unknown Host header leads to no other address"


def test_errors_are_words_of_ours(provider, make):
    directory = make()
    for error, words in (("access_denied", "did not let you in"), ("<script>alert(1)</script>", "refused the sign-in")):
        client = Client()
        state = go(client, directory).split("state=")[1].split("&")[0]
        answer = client.get(
            reverse("portal:provider-back", args=[directory.pk]),
            {"state": state, "iss": provider.issuer, "error": error, "error_description": "<b>click here</b>"},
        )
        text = nobody(client, answer)
        assert words in text and "alert(1)" not in text and "click here" not in text


@pytest.mark.parametrize(
    "fault",
    ["hang /.well-known/openid-configuration", "huge /.well-known/openid-configuration",
     "redirect /.well-known/openid-configuration", "error /.well-known/openid-configuration"],
)  # fmt: skip
def test_a_provider_that_is_down_is_told_within_three_seconds(provider, make, fault):
    directory = make()
    provider.faults.add(fault)
    client = Client()
    began = time.monotonic()
    answer = client.get(reverse("portal:provider", args=[directory.pk]))
    took = time.monotonic() - began
    assert "does not answer" in nobody(client, answer, 503) and took < line.SECONDS + 5
    assert "/elsewhere" not in provider.asked
    provider.released.set()
    provider.released.clear()


@pytest.mark.parametrize("fault", ["hang /token", "hang /jwks", "huge /jwks", "redirect /jwks"])
def test_one_that_goes_down_on_the_way(provider, make, fault):
    provider.faults.add(fault)
    client, answer = enter(provider, make())
    nobody(client, answer, 503)
    provider.released.set()
    provider.released.clear()


@pytest.mark.parametrize(
    "discovery",
    [{"issuer": "https://evil.example"}, {"token_endpoint": "http://127.0.0.1:9/"}, {"jwks_uri": None},
     {"authorization_endpoint": "javascript:alert(1)"}, {"token_endpoint": "file:///etc/passwd"}],
    ids=str,
)  # fmt: skip
def test_a_discovery_document_that_lies(provider, make, discovery):
    provider.more["discovery"] = discovery
    client = Client()
    nobody(client, client.get(reverse("portal:provider", args=[make().pk])), 503)


def test_addresses_that_are_not_public_need_a_word(provider, make):
    client = Client()
    nobody(client, client.get(reverse("portal:provider", args=[make(private=False).pk])), 503)
    assert provider.asked == [], "nothing was asked of it"
    config = parse({"issuer": "https://metadata.example", "client_id": "x", "private": True})
    with pytest.raises(line.Silent):
        line.Line(config).ask("https://169.254.169.254/latest/meta-data/")
    assert not addresses.is_ours(addresses.address_of("fe80::1%eth0"))
    for told in ("10.0.0.1", "127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1"):
        assert not addresses.is_public(addresses.address_of(told)), told


def test_another_authority_is_not_trusted(provider, make):
    with servers.running() as other:
        client = Client()
        nobody(client, client.get(reverse("portal:provider", args=[make(ca=other.ca).pk])), 503)
