"""Signing in with a real Kerberos ticket of a real KDC: who comes in, as whom, and what stands in the way after it.

Row S36 (the session is another one), too.
"""

import base64
import json

import ldap
import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from broker.directories.actions.disable_user import disable_user
from broker.directories.models import Directory, User
from broker.events.models import Event
from tests.servers import kdc as kdcs
from tests.servers import slapd as servers
from tests.servers.slapd import PEOPLE

DOOR = "portal:sign-in"
JSON = {"HTTP_ACCEPT": "application/json"}


def show(directory: Directory, token: str, client: Client | None = None, **more):
    """Press the button with a browser that answers with this token."""
    data = {"next": more.pop("next", "")}
    address = reverse("portal:kerberos", args=[directory.pk])
    return (client or Client()).post(address, data, HTTP_AUTHORIZATION=f"Negotiate {token}", **more)


def words(response) -> str:
    return response.content.decode()


@pytest.fixture
def erin(slapd):
    return slapd.person("erin")


@pytest.mark.parametrize("mech", ["spnego", "krb5"])
def test_a_whole_sign_in(kdc, slapd, ticketed, erin, mech):
    slapd.group("finance", erin)
    client, program = Client(), kdcs.Client(kdc.ticket("erin"), mech=mech)
    page = words(client.get(reverse(DOOR), {"next": "/account/"}))
    assert "Sign in with Kerberos" in page and "kerberos.js" not in page
    done = show(ticketed, program.token, client, next="/account/")
    assert (done.status_code, done.url) == (302, "/account/")
    assert client.get("/account/").status_code == 200
    scheme, answer = done["WWW-Authenticate"].split()
    assert scheme == "Negotiate" and program.takes(answer), "the server has to prove who it is, too"
    assert "berth_device" in done.cookies and done["Cache-Control"] == "no-store"
    user = User.objects.get(username="erin")
    assert user.directory == ticketed and user.external_id == slapd.attribute(f"uid=erin,{PEOPLE}", "entryUUID")
    assert [group.name for group in user.directory_groups.all()] == ["finance"]
    assert not user.has_usable_password()
    assert Event.objects.filter(kind="user.signed-in", actor=user).count() == 1


def test_the_answer_of_another_is_no_proof(kdc, ticketed, erin):
    mine, other = (kdcs.Client(kdc.ticket("erin")) for _ in range(2))
    answer = show(ticketed, other.token)["WWW-Authenticate"].split()[1]
    other.close()
    assert not mine.takes(answer)


def test_a_script_gets_json(kdc, ticketed, erin):
    program = kdcs.Client(kdc.ticket("erin"))
    done = show(ticketed, program.token, **JSON)
    program.close()
    assert done.status_code == 200 and json.loads(done.content) == {"next": "/"}
    refused = show(ticketed, "no base64", **JSON)
    assert refused.status_code == 400 and set(json.loads(refused.content)) == {"cause", "fix"}


def test_only_that_address_asks_for_tickets(ticketed):
    client = Client()
    asked = client.post(reverse("portal:kerberos", args=[ticketed.pk]))
    assert (asked.status_code, asked["WWW-Authenticate"]) == (401, "Negotiate")
    assert "showed no Kerberos ticket" in words(asked) and 'name="password"' in words(asked)
    for address in (reverse(DOOR), "/account/", "/api/v1/machines/", "/admin/"):
        assert "Negotiate" not in client.get(address).get("WWW-Authenticate", "")
    link = client.get(reverse("portal:kerberos", args=[ticketed.pk]))
    assert link.url == reverse(DOOR) and "WWW-Authenticate" not in link
    assert "sessionid" not in client.cookies


def test_the_page_tries_by_itself_only_where_it_is_said_and_not_after_signing_out(make_ticketed, kdc, erin):
    directory = make_ticketed(kerberos_silent=True)
    client = Client()
    assert "kerberos.js" in words(client.get(reverse(DOOR)))
    wrong = client.post(reverse(DOOR), {"username": "erin", "password": "wrong"})
    assert wrong.status_code == 400 and "kerberos.js" not in words(wrong)
    program = kdcs.Client(kdc.ticket("erin"))
    show(directory, program.token, client)
    program.close()
    left = client.post(reverse("portal:sign-out"))
    assert SESSION_KEY not in client.session
    assert "kerberos.js" not in words(client.get(left.url))


@pytest.mark.parametrize("changes", [{"kerberos": False}, {"enabled": False}])
def test_one_that_is_switched_off_is_no_way_in(kdc, ticketed, erin, changes):
    Directory.objects.filter(pk=ticketed.pk).update(
        enabled=changes.get("enabled", True), config={**ticketed.config, **{"kerberos": changes.get("kerberos", True)}}
    )
    assert "Sign in with Kerberos" not in words(Client().get(reverse(DOOR)))
    program = kdcs.Client(kdc.ticket("erin"))
    assert show(ticketed, program.token).status_code == 404
    program.close()


class TestWho:
    """How a principal leads to a person."""

    def enter(self, kdc, directory, name="erin"):
        program = kdcs.Client(kdc.ticket(name))
        response = show(directory, program.token)
        program.close()
        return response

    def test_by_an_attribute_with_the_whole_principal(self, kdc, slapd, make_ticketed):
        directory = make_ticketed(kerberos_name="krbPrincipalName")
        dn = slapd.person(
            "e.reader", objectClass=["inetOrgPerson", "krbPrincipalAux"],
            krbPrincipalName=["erin@EXAMPLE.ORG", "erin.r@EXAMPLE.ORG"],
        )  # fmt: skip
        slapd.person("erin")  # who only happens to be called so
        assert self.enter(kdc, directory).status_code == 302
        assert list(User.objects.filter(directory=directory).values_list("username", flat=True)) == ["e.reader"]
        slapd.change(dn, krbPrincipalName="erin@OTHER.ORG")
        assert self.enter(kdc, directory).status_code == 403

    def test_of_an_active_directory_by_user_principal_name(self, kdc, slapd, make_ticketed):
        directory = make_ticketed(
            flavour="ad", kerberos_name="userPrincipalName", user_filter="(objectClass=adUser)",
            group_filter="(objectClass=adGroup)",
        )  # fmt: skip
        slapd.person(
            "x", objectClass="adUser", sAMAccountName="ereader", objectGUID=b"0123456789abcdef",
            userAccountControl="512", userPrincipalName="Erin@example.org",
        )  # fmt: skip
        assert self.enter(kdc, directory).status_code == 302
        assert User.objects.filter(directory=directory, username="ereader").exists()

    def test_nobody_and_several_are_told_so(self, kdc, slapd, make_ticketed, caplog):
        directory = make_ticketed(login_attributes=["uid", "mail"])
        assert "has nobody for erin@EXAMPLE.ORG" in words(self.enter(kdc, directory))
        slapd.person("erin")
        slapd.person("other", mail="erin")
        refused = self.enter(kdc, directory)
        assert refused.status_code == 403 and "more than one person" in words(refused)
        told = [event.message for event in Event.objects.filter(kind="user.sign-in-refused")]
        assert len(told) == 2
        assert not User.objects.filter(username="erin").exists()

    @pytest.mark.parametrize("name", ["erin/admin", "HTTP/erin"])
    def test_another_instance_is_another_principal(self, kdc, ticketed, erin, name):
        kdc.admin(f'addprinc -pw "{kdcs.PASSWORD}" {name}')
        assert self.enter(kdc, ticketed, name).status_code == 403
        assert not User.objects.filter(username="erin").exists()

    def test_signs_of_the_filter_language_are_letters(self, kdc, slapd, ticketed, erin):
        for name in ("er*", "erin)(uid=*"):
            kdc.admin(f'addprinc -pw "{kdcs.PASSWORD}" {name}')
            assert self.enter(kdc, ticketed, name).status_code == 403
        assert not User.objects.filter(username="erin").exists()

    def test_a_name_that_somebody_has_here_is_refused(self, kdc, ticketed, erin, world):
        alike = User.objects.create(username="erin", directory=world.alice.directory)
        refused = self.enter(kdc, ticketed)
        assert refused.status_code == 409 and "another user called erin" in words(refused)
        assert list(User.objects.filter(username="erin")) == [alike]


class TestTheDirectoryHasTheLastWord:
    def enter(self, kdc, directory, client=None):
        program = kdcs.Client(kdc.ticket("erin"))
        response = show(directory, program.token, client)
        program.close()
        return response

    def test_who_is_locked_there_stays_outside(self, kdc, slapd, ticketed, erin):
        slapd.change(erin, pwdAccountLockedTime="000001010000Z")
        refused = self.enter(kdc, ticketed)
        assert refused.status_code == 403 and "disabled or locked" in words(refused)
        slapd.change(erin, pwdAccountLockedTime=None)
        assert self.enter(kdc, ticketed).status_code == 302

    def test_who_is_disabled_here_stays_outside(self, kdc, ticketed, erin, world):
        assert self.enter(kdc, ticketed).status_code == 302
        disable_user(actor=world.actor(world.root), user=User.objects.get(username="erin"))
        client = Client()
        assert self.enter(kdc, ticketed, client).status_code == 403
        assert SESSION_KEY not in client.session

    def test_groups_follow(self, kdc, slapd, ticketed, erin):
        group = slapd.group("finance", erin)
        assert self.enter(kdc, ticketed).status_code == 302
        user = User.objects.get(username="erin")
        slapd.change(group, member=servers.ROOT_DN)
        assert user.directory_groups.exists()
        self.enter(kdc, ticketed)
        assert not user.directory_groups.exists()

    def test_one_that_is_down_says_so_as_the_form_does(self, kdc, make_ticketed):
        directory = make_ticketed(servers=["ldaps://127.0.0.1:1"])
        refused = self.enter(kdc, directory)
        assert refused.status_code == 503 and "does not answer at the moment" in words(refused)
        assert "127.0.0.1:1" not in words(refused)
        assert not Event.objects.filter(kind="user.sign-in-refused").exists()

    def test_the_reader_who_is_refused_is_no_person_who_is_unknown(self, kdc, ticketed, erin):
        Directory.objects.filter(pk=ticketed.pk).update(secret="")
        assert self.enter(kdc, ticketed).status_code == 503

    def test_a_second_factor_stays_in_force(self, kdc, make_ticketed, erin):
        directory = make_ticketed()
        Directory.objects.filter(pk=directory.pk).update(second_factor=True)
        client = Client()
        done = self.enter(kdc, directory, client)
        assert done.url == reverse("portal:sign-in-set-up")
        assert SESSION_KEY not in client.session and "berth_device" not in done.cookies
        assert client.get("/account/").status_code == 302

    def test_passwords_still_do(self, kdc, ticketed, erin):
        client = Client()
        assert client.post(reverse(DOOR), {"username": "erin", "password": "secret of theirs"}).status_code == 302
        assert SESSION_KEY in client.session


def test_another_sign_in_ends_nothing_and_begins_another_session(kdc, ticketed, erin):
    client = Client()
    session = client.session
    session["before"] = True
    session.save()
    client.cookies["sessionid"] = before = session.session_key
    program = kdcs.Client(kdc.ticket("erin"))
    show(ticketed, program.token, client)
    program.close()
    assert client.session.session_key != before
    again = client.post(reverse("portal:kerberos", args=[ticketed.pk]))
    assert again.url == "/", "who is signed in is not asked for a ticket"


def test_the_line_to_the_directory_is_the_reader_s(kdc, slapd, ticketed, erin):
    """No bind as erin: her password is not known, and a bind without one would say yes."""
    slapd.change(erin, userPassword="another")
    program = kdcs.Client(kdc.ticket("erin"))
    assert show(ticketed, program.token).status_code == 302
    program.close()
    with pytest.raises(ldap.INVALID_CREDENTIALS):
        ldap.initialize(slapd.url).simple_bind_s(erin, "secret of theirs")
    assert base64.b64decode(program.token)
