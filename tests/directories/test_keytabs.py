"""The keytab: what is taken of an upload, that it stays inside, and what form, API and preview say of it."""

import base64
import subprocess

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from broker.core.errors import Invalid, Unavailable
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.actions.preview_directory import preview_directory
from broker.directories.kerberos import keytab as keytabs
from broker.directories.models import Directory
from broker.events.models import Event
from tests.servers import kdc as kdcs

from .test_pages import page, root, typed  # noqa: F401 - root is a fixture

OURS = f"{kdcs.SERVICE}@{kdcs.REALM}"
TICKETED = {"kerberos": "on", "kerberos_realms": kdcs.REALM}


def upload(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("berth.keytab", content)


class TestReading:
    def test_the_system_s_own_tool_reads_what_is_kept(self, kdc, tmp_path):
        kept = keytabs.checked(kdc.web, "")
        (tmp_path / "kept").write_bytes(kept)
        told = subprocess.run(["klist", "-k", "-e", tmp_path / "kept"], capture_output=True, text=True, check=True)
        lines = told.stdout.splitlines()[3:]
        assert [line.split()[1] for line in lines] == [OURS], "the key of host/ is not kept"
        (key,) = keytabs.keys_in(kept)
        assert (key.principal, key.cipher_name) == (OURS, "AES-256") and str(key.number) == lines[0].split()[0]

    @pytest.mark.parametrize("service", ["", kdcs.SERVICE, OURS])
    def test_which_service(self, kdc, service):
        assert len(keytabs.keys_in(keytabs.checked(kdc.web, service))) == 1

    @pytest.mark.parametrize("service", ["HTTP/other.example.org", f"{kdcs.SERVICE}@OTHER.ORG", "HTTP/127.0.0"])
    def test_one_without_a_key_of_the_service(self, kdc, service):
        with pytest.raises(Invalid) as refused:
            keytabs.checked(kdc.web, service)
        assert OURS in refused.value.message and refused.value.field == "keytab"

    @pytest.mark.parametrize(
        "content",
        [
            b"", b"\x05\x01" + bytes(40), b"\x05\x02", b"\x05\x02\0\0\0", b"\x05\x02\x7f\xff\xff\xff",
            b"\x05\x02" + bytes(8), b"\x05\x02\x80\0\0\0", b"\x05\x02\0\0\0\x04\xff\xff\xff\xff", b"-----BEGIN",
            bytes(100), b"\x05\x02" * 40_000,
        ],
    )  # fmt: skip
    def test_what_is_no_keytab(self, content):
        with pytest.raises(Invalid):
            keytabs.checked(content, "")
        assert keytabs.keys_in(content) == []

    def test_every_shortened_one_is_refused_or_read(self, kdc):
        for length in range(len(kdc.web)):
            keytabs.keys_in(kdc.web[:length])

    def test_a_hole_is_passed_over_and_a_long_number_read(self, kdc):
        first = keytabs.checked(kdc.web, "")
        hole = (-16).to_bytes(4, "big", signed=True) + bytes(16)
        assert keytabs.checked(first[:2] + hole + first[2:], "") == first

    def test_keys_of_broken_ciphers_are_not_kept(self, kdc):
        kept = keytabs.checked(kdc.web, "")
        at = kept.rindex(b"\0\x12\0\x20")  # AES-256, 32 bytes
        with pytest.raises(Invalid):
            keytabs.checked(kept[:at] + b"\0\x10" + kept[at + 2 :], "")


class TestTheForm:
    def test_it_is_uploaded_and_never_comes_back(self, root, slapd, kdc):  # noqa: F811
        made = root.post(page("directory-new", "ldap"), typed(slapd, **TICKETED, keytab=upload(kdc.web)))
        assert made.status_code == 302, made.content.decode()[:20000]
        row = Directory.objects.get(name="Site")
        assert row.config["kerberos_realms"] == [kdcs.REALM] and row.config["kerberos_name"] == "login"
        key, sealed = kdc.web[-40:], base64.b64encode(kdc.web[-39:]).decode()
        assert keytabs.opened(row) == keytabs.checked(kdc.web, "")
        addresses = [page("directory", row.pk), page("directory-edit", row.pk), f"/api/v1/directories/{row.pk}/"]
        addresses.append(reverse("admin:directories_directory_change", args=[row.pk]))
        for address in addresses:
            answer = root.get(address)
            assert kdcs.REALM in answer.content.decode()
            assert key not in answer.content and sealed[:20] not in answer.content.decode()
            assert row.keytab not in answer.content.decode()
        assert OURS in root.get(page("directory", row.pk)).content.decode()
        rows = str([list(Event.objects.values()), list(Directory.objects.values())])
        assert sealed[:20] not in rows and str(key)[2:-1] not in rows
        assert root.get(f"/api/v1/directories/{row.pk}/").json()["has_keytab"] is True

    def test_left_empty_the_stored_one_stays_until_it_is_forgotten(self, root, slapd, kdc):  # noqa: F811
        root.post(page("directory-new", "ldap"), typed(slapd, **TICKETED, keytab=upload(kdc.web)))
        row = Directory.objects.get(name="Site")
        edit = page("directory-edit", row.pk)
        assert root.post(edit, typed(slapd, **TICKETED, kerberos_silent="on")).status_code == 302
        before, row = row.keytab, Directory.objects.get(pk=row.pk)
        assert row.keytab == before and row.config["kerberos_silent"]
        assert root.post(edit, typed(slapd, **TICKETED, forget_keytab="on")).status_code == 400, "it is needed"
        assert root.post(edit, typed(slapd, forget_keytab="on")).status_code == 302
        assert Directory.objects.get(pk=row.pk).keytab == ""

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({**TICKETED}, "without a keytab"),
            ({"kerberos": "on"}, "realms are needed"),
            ({**TICKETED, "kerberos_realms": "EX AMPLE.ORG/x"}, "is no Kerberos realm"),
            ({**TICKETED, "kerberos_service": "host/berth.example.org"}, "is no service principal"),
            ({**TICKETED, "kerberos_name": "a)(b=*"}, "is no name of an attribute"),
        ],
    )
    def test_what_cannot_be_right_is_said_at_its_field(self, root, slapd, more, said):  # noqa: F811
        refused = root.post(page("directory-new", "ldap"), typed(slapd, **more))
        assert refused.status_code == 400 and said in refused.content.decode()
        assert not Directory.objects.exclude(kind="local").exists()

    def test_another_service_needs_another_keytab(self, root, slapd, kdc):  # noqa: F811
        root.post(page("directory-new", "ldap"), typed(slapd, **TICKETED, keytab=upload(kdc.web)))
        row = Directory.objects.get(name="Site")
        changed = typed(slapd, **TICKETED, kerberos_service="HTTP/other.example.org")
        refused = root.post(page("directory-edit", row.pk), changed)
        assert refused.status_code == 400 and "has no key of HTTP/other.example.org" in refused.content.decode()

    def test_the_preview_tells_whose_ticket_is_let_in_as_whom(self, root, slapd, kdc):  # noqa: F811
        slapd.person("erin")
        slapd.person("frank", pwdAccountLockedTime="000001010000Z")
        asked = typed(slapd, **TICKETED, preview="1", try_user="erin@EXAMPLE.ORG", keytab=upload(kdc.web))
        text = root.post(page("directory-new", "ldap"), asked, HTTP_HX_REQUEST="true").content.decode()
        assert OURS in text and "AES-256" in text
        assert "erin@EXAMPLE.ORG" in text and "frank@EXAMPLE.ORG" in text and "not let in" in text
        assert not Directory.objects.filter(name="Site").exists()
        asked |= {"try_user": "nobody@EXAMPLE.ORG", "keytab": upload(kdc.web)}
        text = root.post(page("directory-new", "ldap"), asked, HTTP_HX_REQUEST="true").content.decode()
        assert "nobody of this name" in text


class TestTheApi:
    def test_a_keytab_in_base64(self, root, slapd, kdc):  # noqa: F811
        config = {**slapd.config(), "kerberos": True, "kerberos_realms": [kdcs.REALM]}
        given = {"name": "Site", "kind": "ldap", "config": config, "keytab": base64.b64encode(kdc.web).decode()}
        made = root.post("/api/v1/directories/", given, content_type="application/json")
        assert made.status_code == 201, made.json()
        assert "keytab" not in made.json() and made.json()["has_keytab"]
        address = f"/api/v1/directories/{made.json()['id']}/"
        forget = root.patch(address, {"keytab": "", "config": slapd.config()}, content_type="application/json")
        assert forget.status_code == 200 and not forget.json()["has_keytab"]
        for wrong in ("not base64", "AAAA", "A" * 60_000):
            refused = root.patch(address, {"keytab": wrong}, content_type="application/json")
            assert refused.status_code == 400, wrong[:20]

    def test_the_preview(self, root, slapd, make_ticketed):  # noqa: F811
        row = make_ticketed(kerberos_name="mail")
        slapd.person("erin", mail="erin@EXAMPLE.ORG")
        slapd.person("frank", mail="frank@OTHER.ORG")
        given = {"kind": "ldap", "config": row.config, "directory": str(row.pk), "username": "erin@EXAMPLE.ORG"}
        told = root.post("/api/v1/directories/preview/", given, content_type="application/json").json()
        assert [key["principal"] for key in told["keys"]] == [OURS]
        assert {ticket["principal"]: ticket["username"] for ticket in told["tickets"]} == {
            "erin@EXAMPLE.ORG": "erin", "frank@OTHER.ORG": "",
        }  # fmt: skip
        assert told["named"]["principal"] == "erin@EXAMPLE.ORG" and told["named"]["username"] == "erin"

    def test_kinds_that_have_no_use_for_one(self, root, world, kdc):  # noqa: F811
        address = f"/api/v1/directories/{world.alice.directory_id}/"
        given = {"keytab": base64.b64encode(kdc.web).decode()}
        refused = root.patch(address, given, content_type="application/json")
        assert refused.status_code == 400 and "no use for a keytab" in str(refused.json())


def test_under_another_key_of_the_installation_it_cannot_be_read(ticketed, world, settings):
    settings.SECRET_KEY = "another key of the installation"
    with pytest.raises(Unavailable):
        keytabs.opened(ticketed)
    with pytest.raises(Invalid) as refused:
        edit_directory(actor=world.actor(world.root), directory=ticketed, config={**ticketed.config, "nested": False})
    assert refused.value.field == "keytab"
    answer = Client().post(reverse("portal:kerberos", args=[ticketed.pk]), HTTP_AUTHORIZATION="Negotiate YII=")
    assert answer.status_code == 503


def test_weak_keys_are_warned_of(ticketed, world, monkeypatch):
    monkeypatch.setattr("broker.directories.kinds.ldap.preview.RC4", frozenset({18}))
    told = preview_directory(
        actor=world.actor(world.root), kind="ldap", config=ticketed.config, directory=ticketed, keytab=None
    )
    assert "rc4" in told.warnings
