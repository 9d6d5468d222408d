"""A provider of SAML is set up: what the form and the API take, what the preview tells, and what is never shown."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.core.errors import Invalid
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.kinds.saml import metadata
from broker.directories.models import Directory
from broker.directories.secret import opened
from tests.servers import idp as servers

FORM = "portal:directory-new"


def typed(idp, **more: str) -> dict[str, str]:
    return {
        "name": "Federated", "order": "50", "enabled": "on", "metadata_url": idp.entity_id, "metadata": "",
        "private": "on", "ca": idp.ca, "issuer": "", "entity_id": "", "session_hours": "8", "id_attribute": "",
        "username_attribute": "uid", "name_attribute": "displayName", "mail_attribute": "mail",
        "groups_attribute": "groups", **more,
    }  # fmt: skip


@pytest.fixture
def root(world):
    client = Client()
    client.force_login(world.root)
    return client


def test_it_shows_what_it_yields_before_it_is_saved(idp, root):
    form = reverse(FORM, args=["saml"])
    assert "persistent" in root.get(form).content.decode()
    shown = root.post(form, typed(idp, preview="1"), headers={"HX-Request": "true"}).content.decode()
    key = idp.keys[0].certificate.fingerprint(servers.hashes.SHA256()).hex(":").upper()
    assert all(word in shown for word in (idp.entity_id, "/sso", key)), shown
    assert not Directory.objects.filter(kind="saml").exists()
    wrong = typed(idp, preview="1", metadata_url=f"{idp.url}/sso")
    assert "cannot be used" in root.post(form, wrong, headers={"HX-Request": "true"}).content.decode()
    made = root.post(form, typed(idp))
    directory = Directory.objects.get(kind="saml")
    page = root.get(made.url).content.decode()
    for name in ("provider-post", "provider-metadata"):
        assert reverse(f"portal:{name}", args=[directory.pk]) in page
    assert "PRIVATE KEY" in opened(directory) and "PRIVATE" not in page
    assert "PRIVATE" not in root.get(reverse("portal:directory-edit", args=[directory.pk])).content.decode()
    answer = root.post(
        "/api/v1/directories/preview/", {"kind": "saml", "config": idp.config()}, content_type="application/json"
    ).json()
    assert answer["bound"] and answer["facts"][0]["value"] == idp.entity_id and answer["warnings"] == []


def test_certificates_that_are_over_are_said(idp, root):
    idp.published = [servers.SigningKey(idp.folder, days=-1)]
    answer = root.post(
        "/api/v1/directories/preview/", {"kind": "saml", "config": idp.config()}, content_type="application/json"
    ).json()
    assert answer["bound"] and "are over" in answer["warnings"][0]


def test_a_new_key_is_made_when_it_is_asked_for_and_nobody_types_one(idp, root, federate, world):
    directory = federate()
    before, edit = opened(directory), reverse("portal:directory-edit", args=[directory.pk])
    text = typed(idp, metadata_url="", metadata=idp.metadata())
    assert root.post(edit, text).status_code == 302
    directory.refresh_from_db()
    assert opened(directory) == before
    assert root.post(edit, {**text, "forget_password": "on"}).status_code == 302
    directory.refresh_from_db()
    assert opened(directory) != before
    with pytest.raises(Invalid):
        edit_directory(actor=world.actor("root"), directory=directory, password="a key of mine")


@pytest.mark.parametrize(
    ("field", "value"),
    [("metadata_url", "http://login.example.org"), ("metadata_url", "https://a@b.example"), ("metadata_url", "file:///x"),
     ("metadata", "<x/>"), ("issuer", "a b"), ("entity_id", "ä"), ("username_attribute", "a b"), ("ca", "-----BEGIN"),
     ("session_hours", "0"), ("session_hours", "13"), ("groups_attribute", "<x>")],
)  # fmt: skip
def test_mistakes_are_told_at_their_field(idp, root, field, value):
    answer = root.post(reverse(FORM, args=["saml"]), typed(idp, **{field: value}))
    assert answer.status_code == 400 and f"id_{field}_error" in answer.content.decode()
    assert not Directory.objects.filter(kind="saml").exists()


TWISTS = {
    "no-provider": lambda text: text.replace("IDPSSODescriptor", "SPSSODescriptor"),
    "two-providers": lambda text: f'<md:EntitiesDescriptor xmlns:md="{servers.NAMES["md"]}">{text}{text}'
                                  "</md:EntitiesDescriptor>",
    "no-key": lambda text: text.replace('use="signing"', 'use="encryption"'),
    "over": lambda text: text.replace(" entityID=", ' validUntil="2020-01-01T00:00:00Z" entityID='),
    "in-clear": lambda text: text.replace("https://127.0.0.1", "http://login.example.org"),
    "script": lambda text: text.replace('Location="https:', 'Location="javascript:'),
    "other-binding": lambda text: text.replace("HTTP-Redirect", "SOAP"),
    "saml-1": lambda text: text.replace("SAML:2.0:protocol", "SAML:1.1:protocol"),
    "entity": lambda text: f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{text}',
    "html": lambda text: "<!doctype html><p>Not found",
}  # fmt: skip


@pytest.mark.parametrize("twist", TWISTS)
def test_metadata_that_cannot_be_used_is_refused_with_the_cause(idp, root, twist):
    text = TWISTS[twist](idp.metadata())
    answer = root.post(reverse(FORM, args=["saml"]), typed(idp, metadata_url="", metadata=text))
    assert answer.status_code == 400 and "id_metadata_error" in answer.content.decode()


def test_one_of_several_providers_is_chosen_by_its_id_and_short_keys_do_not_count(idp, root):
    short = servers.SigningKey(idp.folder, size=1024)
    idp.published = [short, *idp.published]
    text = TWISTS["two-providers"](idp.metadata()).replace(idp.entity_id, "https://other.example", 1)
    config = {"metadata": text, "private": True, "issuer": idp.entity_id}
    answer = root.post(
        "/api/v1/directories/preview/", {"kind": "saml", "config": config}, content_type="application/json"
    ).json()
    assert answer["bound"] and len(answer["facts"][2]["value"].split(", ")) == 1
    assert metadata.MOST_KEYS > 1
