"""Hostile answers of a provider of SAML, and browsers that come back with what is not theirs: nobody comes in."""

import base64
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from broker.core.errors import Unavailable
from broker.directories import https
from broker.directories.kinds.saml import KIND, answers, flow
from broker.directories.models import ProviderAnswer, User
from portal.web.providers import back_addresses, entity_id
from tests.servers import idp as servers
from tests.servers.idp import NAMES, at

from .test_saml import enter, go, post

MINUTES = timedelta(minutes=1)


def nobody(client: Client, answer, status: int = 403) -> str:
    assert answer.status_code == status, answer
    assert SESSION_KEY not in client.session and not User.objects.filter(username="erin").exists()
    return answer.content.decode()


def later(minutes: float) -> str:
    return at(datetime.now(UTC) + minutes * MINUTES)


@pytest.mark.parametrize(
    "more",
    [
        {"audience": "https://other.example"}, {"recipient": "https://evil.example/"}, {"destination": "https://x.example/"},
        {"request": "_another"}, {"request": ""}, {"outer": "_another"}, {"issuer": "https://evil.example"},
        {"until": "2020-01-01T00:00:00Z"}, {"until": "never"}, {"until": "9999-12-31T00:00:00Z"},
        {"over": "2020-01-01T00:00:00Z"}, {"before": "2099-01-01T00:00:00Z"}, {"before": "2099-13-41T00:00:00Z"},
        {"now": "2099-01-01T00:00:00Z"}, {"now": ""},
        {"format": f"{servers.SAML}:nameid-format:transient"}, {"subject": ""}, {"subject": "x" * 300},
        {"subject": "id of erin<x/>"}, {"subject": "id\u00a0of erin"}, {"attributes": ""},
        {"status": f'<samlp:StatusCode Value="{servers.SAML}:status:Requester"/>'}, {"status": ""},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("signs", [{"assertion"}, {"response"}], ids=["assertion", "response"])
def test_words_that_are_not_right(idp, federate, more, signs):
    idp.signs = signs
    idp.more.update(more)
    text = nobody(*enter(idp, federate()))
    assert "evil.example" not in text and not ProviderAnswer.objects.exists()


def test_a_clock_that_differs_a_little_is_taken(idp, federate):
    idp.more.update(until=later(-0.5), over=later(-0.5), before=later(0.5))
    assert enter(idp, federate())[1].status_code == 302


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<saml:AudienceRestriction>.*</saml:AudienceRestriction>", ""), ("<saml:Conditions.*</saml:Conditions>", ""),
        ("<saml:AuthnStatement.*</saml:AuthnStatement>", ""), (' Recipient="[^"]*"', ""),
        (' NotOnOrAfter="[^"]*" R', " R"),
        (' InResponseTo="[^"]*"', ""), ("cm:bearer", "cm:sender-vouches"), ("<saml:Issuer>.*?</saml:Issuer>", ""),
        ("<saml:AudienceRestriction>", "<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience>"
         "</saml:AudienceRestriction><saml:AudienceRestriction>"),
        ("<saml:Conditions([^>]*)>", '<saml:Conditions\\1><x:Only xmlns:x="urn:x"/>'),
        (' Recipient=', ' NotBefore="2020-01-01T00:00:00Z" Recipient='),
        ("<saml:NameID ", '<saml:NameID SPNameQualifier="https://other.example" '),
        ("<saml:NameID ", '<saml:NameID NameQualifier="https://other.example" '),
        ("<saml:NameID.*</saml:NameID>", ""), ('Version="2.0"', 'Version="1.1"'),
        ("<saml:AuthnStatement ", '<saml:AuthnStatement SessionNotOnOrAfter="2020-01-01T00:00:00Z" '),
        ("<saml:AttributeValue>erin<", "<saml:AttributeValue>erin</saml:AttributeValue><saml:AttributeValue>root<"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_assertions_that_lack_or_twist_something(idp, federate, old, new):
    idp.before = lambda text: re.sub(old, new, text, count=1, flags=re.DOTALL)
    nobody(*enter(idp, federate()))


@pytest.mark.parametrize("sign", [set(), {"response"}], ids=["nothing", "response-alone"])
def test_signatures_that_are_none(idp, federate, sign):
    idp.signs = sign
    if sign:  # the signature is of the answer's shell, in which another assertion is put
        idp.after = lambda text: text.replace("id of erin", "id of root")
    nobody(*enter(idp, federate()))


def test_a_key_that_is_not_in_the_metadata(idp, federate):
    known = idp.keys
    idp.keys = [servers.SigningKey(idp.folder)]
    client, answer = enter(idp, federate())
    idp.keys = known
    nobody(client, answer)


@pytest.mark.parametrize(
    "more",
    [{"method": f"{NAMES['ds']}rsa-sha1"}, {"digest": f"{NAMES['ds']}sha1"},
     {"c14n": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"}],
    ids=str,
)  # fmt: skip
def test_methods_that_are_too_old(idp, federate, more):
    idp.more.update(more)
    nobody(*enter(idp, federate()))


def forged(text: str) -> str:
    """An assertion like the signed one, without its signature, of somebody else."""
    own = re.search("<saml:Assertion.*</saml:Assertion>", text, re.DOTALL).group(0)
    own = re.sub("<ds:Signature.*?</ds:Signature>", "", own, flags=re.DOTALL)
    return own.replace("id of erin", "id of root").replace(">erin<", ">mallory<")


def signature(text: str) -> str:
    return re.search("<ds:Signature.*?</ds:Signature>", text, re.DOTALL).group(0)


def whole(text: str) -> str:
    return re.search("<saml:Assertion.*</saml:Assertion>", text, re.DOTALL).group(0)


def renamed(text: str) -> str:
    return re.sub(' ID="_[^"]*"', ' ID="_forged"', text, count=1)


def inside(text: str, other: str) -> str:
    """The forged assertion with something of the true one in front of its subject."""
    return forged(text).replace("<saml:Subject>", other + "<saml:Subject>", 1)


def with_object(text: str) -> str:
    """The true signature, and in it the assertion that it is of."""
    return signature(text).replace("</ds:Signature>", f"<ds:Object>{whole(text)}</ds:Object></ds:Signature>")


def instead(text: str, other: str, *, aside: str = "") -> str:
    """The answer with another assertion; `aside`: what stands behind it."""
    return text.replace(whole(text), other + aside)


def in_an_extension(text: str) -> str:
    kept = f"<samlp:Extensions>{whole(text)}</samlp:Extensions><samlp:Status>"
    return instead(text, renamed(forged(text))).replace("<samlp:Status>", kept)


WRAPPED = {  # "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky et al., 2012), XSW3 to XSW8
    "before": lambda text: instead(text, renamed(forged(text)), aside=whole(text)),
    "after": lambda text: instead(text, whole(text), aside=renamed(forged(text))),
    "around": lambda text: instead(text, renamed(inside(text, whole(text)))),
    "with-its-signature": lambda text: instead(text, renamed(inside(text, signature(text))), aside=whole(text)),
    "in-an-extension": in_an_extension,
    "in-an-object": lambda text: instead(text, renamed(inside(text, with_object(text)))),
    "of-the-same-id": lambda text: instead(text, inside(text, with_object(text))),
    "changed": lambda text: text.replace("id of erin", "id of root"),
    "two-signatures": lambda text: text.replace(signature(text), signature(text) * 2),
}


@pytest.mark.parametrize("way", WRAPPED)
def test_assertions_that_are_wrapped(idp, federate, way):
    idp.after = WRAPPED[way]
    client, answer = enter(idp, federate())
    nobody(client, answer)
    assert not User.objects.filter(username="mallory").exists()


@pytest.mark.parametrize("canonical", ["", "WithComments"])
def test_a_comment_in_the_name_cuts_nothing_off(idp, federate, canonical):
    idp.person("mallory", subject="id of erin.evil.example")
    idp.more["c14n"] = f"http://www.w3.org/2001/10/xml-exc-c14n#{canonical}"
    directory = federate()
    mark = "id of erin<!-- -->.evil.example"
    if canonical:
        idp.before = lambda text: text.replace("id of erin.evil.example", mark)
        nobody(*enter(idp, directory, "mallory"))
        return
    idp.after = lambda text: text.replace("id of erin.evil.example", mark)
    enter(idp, directory, "mallory")
    assert User.objects.get(username="mallory").external_id.endswith(":id of erin.evil.example")


@pytest.mark.parametrize(
    "head",
    ['<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
     "<!DOCTYPE x>",
     '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'],
    ids=["entity", "elsewhere", "plain", "bomb"],
)  # fmt: skip
def test_document_types(idp, federate, head):
    name = "&c;" if "&a;" in head else "&e;" if "ENTITY e" in head else "erin"
    idp.after = lambda text: head + text.replace(">erin<", f">{name}<")
    nobody(*enter(idp, federate()))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7"])
def test_document_types_in_other_encodings(federate, encoding):
    directory = federate()
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY e "x">]><x>&e;</x>'.encode(encoding)
    client = Client()
    nobody(client, post(reverse("portal:provider-post", args=[directory.pk]), base64.b64encode(text).decode()))


@pytest.mark.parametrize(
    "posted",
    ["", "!", "AAAA", base64.b64encode(b"<x/>").decode(), base64.b64encode(b"<x>" * 5000).decode(), "QQ" * 400_000,
     base64.b64encode(b'<?xml-stylesheet href="x"?><x/>').decode()],
    ids=["empty", "no-base64", "no-xml", "another", "deep", "long", "instruction"],
)  # fmt: skip
def test_nonsense_that_is_posted(federate, posted):
    client = Client()
    nobody(client, post(reverse("portal:provider-post", args=[federate().pk]), posted))


def test_an_answer_counts_once_and_in_the_browser_that_asked_alone(idp, federate):
    directory = federate()
    client, stranger = Client(), Client()
    back, answer = idp.sign_in(go(client, directory), "erin")
    received = post(back, answer)
    assert "not begun in this browser" in nobody(stranger, stranger.get(received.url))
    go(stranger, directory)
    nobody(stranger, stranger.get(received.url))
    again = post(back, answer)
    assert again.status_code == 403 and "used already" in again.content.decode(), "also before it was fetched"
    assert client.get(received.url).status_code == 302
    after = client.get(received.url)
    assert after.status_code == 403 and "used already" in after.content.decode()
    assert post(back, answer).status_code == 403, "also in another process: it is in the database"


def test_an_answer_of_one_request_does_not_do_for_another(idp, federate):
    directory = federate()
    client, stranger = Client(), Client()
    stolen = post(*idp.sign_in(go(stranger, directory), "erin")).url
    mine = post(*idp.sign_in(go(client, directory), "erin")).url
    state = mine.split("state=")[1].split("&")[0]
    nobody(client, client.get(re.sub("state=[^&]*", f"state={state}", stolen)))


def test_what_nobody_asked_for_is_refused(idp, federate):
    directory = federate()
    asked = {"id": "_of-nobody", "audience": entity_id(directory), "back": back_addresses(directory)[0]}
    client = Client()
    received = post(asked["back"], idp.answer(asked, "erin"))
    nobody(client, client.get(received.url))
    idp.before = lambda text: text.replace(' InResponseTo="_of-nobody"', "")
    nobody(client, post(asked["back"], idp.answer(asked, "erin")))


def test_an_answer_is_taken_of_the_provider_it_was_asked_of(idp, federate):
    one, two = federate("One"), federate("Two")
    client = Client()
    idp.peer = KIND.metadata(one, back_addresses(one), entity_id(one))
    back, answer = idp.sign_in(go(client, one), "erin")
    nobody(client, post(back.replace(str(one.pk), str(two.pk)), answer))
    received = post(back, answer).url
    nobody(client, client.get(received.replace(str(one.pk), str(two.pk))))


def test_the_wait_is_over_after_two_minutes(idp, federate, monkeypatch):
    client = Client()
    received = post(*idp.sign_in(go(client, federate()), "erin")).url
    monkeypatch.setattr(answers, "LONGEST_WAY", timedelta(seconds=-1))
    nobody(client, client.get(received))


@pytest.mark.parametrize(
    ("method", "more"),
    [(servers.CBC, {}), ("http://www.w3.org/2001/04/xmlenc#tripledes-cbc", {}),
     (servers.GCM, {"transport": "http://www.w3.org/2001/04/xmlenc#rsa-1_5"})],
    ids=["cbc-that-nobody-vouches-for", "triple-des", "rsa-1.5"],
)  # fmt: skip
def test_encryption_that_can_be_probed(idp, federate, method, more):
    directory = federate()
    idp.encrypts = method
    idp.more.update(more)
    nobody(*enter(idp, directory))


def test_an_assertion_that_is_encrypted_for_us_by_anybody_is_not_signed_by_it(idp, federate):
    directory = federate()
    idp.encrypts, idp.signs = servers.GCM, set()
    nobody(*enter(idp, directory))
    idp.signs = {"assertion"}
    idp.after = lambda text: re.sub(
        r"(?<=<xenc:CipherValue>)\s*[\w+/]", lambda m: "B" if m[0][-1] == "A" else "A", text
    )
    nobody(*enter(idp, directory))


@pytest.mark.parametrize("fault", ["hang /metadata", "huge /metadata", "redirect /metadata"])
def test_a_provider_that_is_down_is_told_within_three_seconds(idp, federate, fault):
    directory = federate(config=idp.address())
    idp.faults.add(fault)
    client = Client()
    began = time.monotonic()
    answer = client.get(reverse("portal:provider", args=[directory.pk]))
    took = time.monotonic() - began
    assert "does not answer" in nobody(client, answer, 503) and took < https.SECONDS + 5
    assert "/elsewhere" not in idp.asked
    idp.released.set()
    idp.released.clear()


def test_addresses_that_are_not_public_need_a_word_and_another_authority_is_not_trusted(idp, federate):
    client = Client()
    nobody(client, client.get(reverse("portal:provider", args=[federate(config=idp.address(private=False)).pk])), 503)
    assert idp.asked == [], "nothing was asked of it"
    other = federate("Other", config=idp.address(ca=""))
    nobody(client, client.get(reverse("portal:provider", args=[other.pk])), 503)


def test_a_key_that_was_sealed_otherwise_is_said(idp, federate, settings):
    directory = federate()
    settings.SECRET_KEY = "another"
    with pytest.raises(Unavailable):
        flow.begin(directory, "https://x.example/", "x")
