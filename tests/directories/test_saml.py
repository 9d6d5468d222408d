"""Signing in at a real provider of SAML: who comes in, as whom, with which groups, and for how long."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import etree

from broker.directories.kinds.saml import metadata
from broker.directories.models import Directory, Group, ProviderAnswer, User
from broker.directories.throttle import tidy
from broker.events.models import Event
from tests.servers import idp as servers

DOOR = "portal:sign-in"


def go(client: Client, directory: Directory, **query: str) -> str:
    """Where the button leads."""
    return client.get(reverse("portal:provider", args=[directory.pk]), query).url


def post(address: str, answer: str, **more: str):
    """The provider's page posts: from another site, so without cookies, and without a token against forged forms."""
    stranger = Client(enforce_csrf_checks=True)
    return stranger.post(urlsplit(address).path, {"SAMLResponse": answer, **more})


def enter(idp, directory: Directory, name: str = "erin", client: Client | None = None, **query: str):
    """One whole sign-in: the browser, and the answer to its way back."""
    client = client or Client()
    received = post(*idp.sign_in(go(client, directory, **query), name))
    return client, client.get(received.url) if received.status_code == 303 else received


def test_a_whole_sign_in(idp, federate):
    directory = federate()
    client = Client()
    page = client.get(reverse(DOOR), {"next": "/account/"}).content.decode()
    assert "Sign in with Federated" in page
    address = go(client, directory, next="/account/")
    assert address.startswith(f"{idp.url}/sso?SAMLRequest=") and "RelayState" not in address
    back, answer = idp.sign_in(address, "erin")
    assert back.endswith(reverse("portal:provider-post", args=[directory.pk]))
    before = client.session.session_key
    received = post(back, answer, RelayState="https://evil.example/")
    assert received.status_code == 303 and not received.cookies, "nobody is signed in by the post alone"
    assert "erin" not in ProviderAnswer.objects.get().told, "what is said of people is sealed"
    done = client.get(received.url)
    assert done.url == "/account/" and client.get("/account/").status_code == 200
    assert client.session.session_key != before and "berth_device" in done.cookies
    erin = User.objects.get(username="erin")
    assert (erin.display_name, erin.email, erin.directory) == ("Erin", "erin@example.org", directory)
    assert not erin.has_usable_password()
    assert set(erin.directory_groups.values_list("name", flat=True)) == {"staff", "finance"}
    assert Event.objects.filter(kind="user.signed-in", actor=erin).count() == 1
    assert Client().login(username="erin", password=servers.PASSWORD) is False, "passwords are for the provider alone"


@pytest.mark.parametrize("signs", [{"response"}, {"assertion", "response"}], ids=["response", "both"])
def test_answers_that_are_signed_as_a_whole(idp, federate, signs):
    idp.signs = signs
    client, _done = enter(idp, federate())
    assert client.session[SESSION_KEY] == str(User.objects.get(username="erin").pk)


@pytest.mark.parametrize(
    ("method", "signs"), [(servers.GCM, {"assertion"}), (servers.GCM, {"response"}), (servers.CBC, {"response"})]
)
def test_encrypted_assertions(idp, federate, method, signs):
    directory = federate(encrypted=True)
    idp.signs = signs
    assert enter(idp, directory)[1].status_code == 403, "what is not encrypted is refused where that is wanted"
    idp.encrypts = method
    client, _done = enter(idp, directory)
    assert client.session[SESSION_KEY] == str(User.objects.get(username="erin").pk)


def test_keys_of_before_and_after_a_change(idp, federate):
    new = servers.SigningKey(idp.folder, days=-1)
    idp.published = [new, *idp.published]
    directory = federate()
    assert enter(idp, directory)[1].status_code == 302, "the old key counts beside the new one"
    idp.keys = [new, *idp.keys]
    assert enter(idp, directory)[1].status_code == 302, "a certificate is a container of a key: its days are no matter"
    idp.keys = idp.keys[1:]


def test_metadata_at_an_address_is_read_anew_when_a_key_is_unknown(idp, federate):
    directory = federate(config=idp.address())
    assert enter(idp, directory)[1].status_code == 302 and idp.asked.count("/metadata") == 1
    first = idp.keys
    idp.keys = [servers.SigningKey(idp.folder)]
    assert enter(idp, directory)[1].status_code == 403 and idp.asked.count("/metadata") == 1, "not at once again"
    idp.published = [*first, *idp.keys]
    metadata._known.update({config: (read - 11, known) for config, (read, known) in metadata._known.items()})
    assert enter(idp, directory)[1].status_code == 302 and idp.asked.count("/metadata") == 2
    idp.keys = first


def test_who_is_renamed_is_the_same_and_another_of_the_name_is_not(idp, federate, world):
    directory = federate()
    enter(idp, directory)
    erin = User.objects.get(username="erin")
    idp.person("erika", "staff", subject="id of erin")
    client, _done = enter(idp, directory, "erika")
    erin.refresh_from_db()
    assert erin.username == "erika" and client.session[SESSION_KEY] == str(erin.pk)
    assert set(erin.directory_groups.values_list("name", flat=True)) == {"staff"}
    idp.person("erika", subject="somebody else")
    client, refused = enter(idp, directory, "erika")
    assert refused.status_code == 409 and SESSION_KEY not in client.session
    idp.person("root")
    client, refused = enter(idp, directory, "root")
    assert refused.status_code == 409 and SESSION_KEY not in client.session, "a local user's name is not taken over"
    assert User.objects.get(username="root").directory.kind == "local"


def test_an_attribute_as_the_id_and_names_by_friendly_name(idp, federate, world):
    directory = federate(id_attribute="employeeNumber", groups_attribute="memberOf")
    idp.person("erin", employeeNumber=["4711"])
    idp.more["format"] = f"{servers.SAML}:nameid-format:transient"
    idp.before = lambda text: text.replace('Name="groups"', 'Name="urn:oid:1.2.3" FriendlyName="memberOf"').replace(
        "<saml:AttributeStatement>",
        '<saml:AttributeStatement><saml:Attribute Name="urn:oid:1.2.3" FriendlyName="memberOf"><saml:AttributeValue>'
        "operators</saml:AttributeValue></saml:Attribute>",
    )
    client, _done = enter(idp, directory)
    erin = User.objects.get(username="erin")
    assert erin.external_id.endswith(":4711") and client.session[SESSION_KEY] == str(erin.pk)
    group = Group.objects.get(directory=directory, name="operators")
    world.grant(group, "admin")
    assert client.get("/manage/").status_code == 200
    idp.person("erin", employeeNumber=["4711", "4712"])
    assert enter(idp, directory)[1].status_code == 403, "which of them would it be?"
    idp.person("erin")
    assert enter(idp, directory)[1].status_code == 403, "nobody without the id"


def test_a_sign_in_has_a_longest_age_and_who_is_disabled_stays_out(idp, federate):
    directory = federate(session_hours=2)
    client, _done = enter(idp, directory)
    row = Session.objects.get(session_key=client.session.session_key)
    assert timedelta(minutes=115) < row.expire_date - timezone.now() <= timedelta(hours=2)
    client, refused = enter(idp, directory, "nobody")
    text = refused.content.decode()
    assert refused.status_code == 403 and "did not let you in" in text and "alert(1)" not in text
    assert Event.objects.filter(kind="user.sign-in-refused", subject_id=directory.pk).count() == 1
    User.objects.filter(username="erin").update(is_active=False)
    client, refused = enter(idp, directory)
    assert refused.status_code == 403 and SESSION_KEY not in client.session


def test_berths_own_second_factor_is_demanded_as_usual(idp, federate):
    directory = federate()
    Directory.objects.filter(pk=directory.pk).update(second_factor=True)
    client, done = enter(idp, directory, next="/account/")
    assert done.url == reverse("portal:sign-in-set-up") and SESSION_KEY not in client.session
    assert client.get("/account/").status_code == 302
    Directory.objects.filter(pk=directory.pk).update(second_factor=False)
    client, done = enter(idp, directory)
    assert client.get(reverse("portal:second-factor")).status_code == 403, "no password shows who sits there"
    assert "asks for one where it wants one" in client.get("/account/").content.decode()


def test_what_is_over_is_forgotten(idp, federate):
    directory = federate()
    enter(idp, directory)
    tidy()
    assert ProviderAnswer.objects.filter(told="").count() == 1, "kept so that it does not count again"
    ProviderAnswer.objects.update(until=timezone.now() - timedelta(seconds=1))
    tidy()
    assert not ProviderAnswer.objects.exists()


def test_metadata_of_ours(idp, federate, settings):
    settings.ORIGINS = ["https://vdi.example.org", "https://other.example.org"]
    directory = federate()
    answer = Client().get(reverse("portal:provider-metadata", args=[directory.pk]))
    root = etree.fromstring(answer.content)
    assert answer["Content-Type"] == "application/samlmetadata+xml"
    assert root.get("entityID") == f"https://vdi.example.org/sign-in/with/{directory.pk}/metadata"
    places = [one.get("Location") for one in root.findall(".//md:AssertionConsumerService", servers.NAMES)]
    assert places == [f"{origin}/sign-in/with/{directory.pk}/post" for origin in settings.ORIGINS]
    assert b"PRIVATE" not in answer.content
    assert enter(idp, directory)[1].status_code == 302, "an unknown Host header leads to no other address"


def test_one_that_is_off_or_of_another_kind_has_no_door(idp, federate, world):
    directory = federate()
    Directory.objects.filter(pk=directory.pk).update(enabled=False)
    assert "Federated" not in Client().get(reverse(DOOR)).content.decode()
    for pk in (directory.pk, world.directory.pk):
        assert Client().get(reverse("portal:provider", args=[pk])).status_code == 404
        assert Client().post(reverse("portal:provider-post", args=[pk])).status_code == 404
    assert Client().get(reverse("portal:provider-post", args=[directory.pk])).status_code == 405
    assert Client().get(reverse("portal:provider-metadata", args=[world.directory.pk])).status_code == 404
