"""Signing in with a second factor, setting one up, and where it is demanded."""

import re

import pytest
from django.contrib.auth import SESSION_KEY
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.access.models import Role
from broker.directories.models import Directory, SecondFactor, TryCount, User
from broker.events.models import Event
from portal.models import ApiToken
from portal.tokens import create_token
from portal.web import pending
from tests.directories.codes import Phone, set_up, stopped_clock  # noqa: F401 - a fixture
from tests.world import PASSWORD

DOOR, CODE, SET_UP = (f"portal:{name}" for name in ("sign-in", "sign-in-code", "sign-in-set-up"))
# A code of the period to come: the present one may have been spent on setting up, and it is taken all the same.
NEXT = 1


@pytest.fixture
def people(site, at):
    for name in ("alice", "bob", "charlie", "root"):
        person = getattr(site.world, name)
        person.set_password(PASSWORD)
        person.save()
    return site.world


def password(name: str, **more) -> tuple[Client, object]:
    client = Client()
    return client, client.post(reverse(DOOR), {"username": name, "password": PASSWORD, **more})


def offered(page) -> Phone:
    return Phone(re.search(r'id="secret">([A-Z2-7 ]+)<', page.content.decode())[1].replace(" ", ""))


def test_after_the_password_comes_the_code(people):
    phone, _codes = set_up(people.alice)
    wanted = reverse("portal:account")
    client, first = password("alice", next=wanted)
    assert first.url == reverse(CODE) and SESSION_KEY not in client.session
    assert client.get("/").status_code == 302, "nobody is signed in yet"
    assert client.get("/api/v1/me/").status_code in (401, 403)
    page = client.get(first.url)
    assert page["Cache-Control"] == "no-store" and 'autocomplete="one-time-code"' in page.content.decode()
    wrong = client.post(first.url, {"code": phone.wrong()})
    assert wrong.status_code == 400 and 'role="alert"' in wrong.content.decode()
    assert Event.objects.filter(kind="user.second-factor-refused", severity="warning").count() == 1
    before = client.session.session_key
    done = client.post(first.url, {"code": phone.code(NEXT)})
    assert done.url == wanted and client.get(wanted).status_code == 200
    assert client.session.session_key != before and pending.KEY not in client.session
    assert "berth_device" in done.cookies
    other, first = password("alice")
    assert other.post(first.url, {"code": phone.code(NEXT)}).status_code == 400, "no code works twice"


def test_a_recovery_code_signs_in(people):
    _phone, codes = set_up(people.alice)
    client, first = password("alice")
    assert client.post(first.url, {"code": codes[3]}).url == "/"
    assert client.get("/").status_code == 200


def test_the_wait_ends_with_time_with_the_account_and_is_nobody_elses(people, monkeypatch):
    phone, _codes = set_up(people.alice)
    late, first = password("alice")
    monkeypatch.setattr(pending, "SECONDS", -1)
    assert late.post(first.url, {"code": phone.code(NEXT)}).url == reverse(DOOR)
    monkeypatch.undo()
    changed, first = password("alice")
    people.alice.set_password("another horse entirely")
    people.alice.save()
    assert changed.post(first.url, {"code": phone.code(NEXT)}).url == reverse(DOOR)
    people.alice.set_password(PASSWORD)
    people.alice.save()
    gone, first = password("alice")
    User.objects.filter(username="alice").update(is_active=False)
    assert gone.post(first.url, {"code": phone.code(NEXT)}).url == reverse(DOOR)
    assert Client().post(reverse(CODE), {"code": phone.code(NEXT)}).url == reverse(DOOR)
    assert Client().get(reverse(SET_UP)).url == reverse(DOOR)


def test_who_was_signed_in_before_is_not_once_another_password_was_typed(people):
    """A browser of bob's in which alice types her password: its session is no longer bob's, nor yet alice's."""
    set_up(people.alice)
    client, _first = password("alice")
    assert not client.session.get(SESSION_KEY)


def test_guesses_are_slowed_down(people):
    phone, _codes = set_up(people.alice)
    client, first = password("alice")
    wrong = phone.wrong()
    answers = [client.post(first.url, {"code": wrong}) for _ in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [400] * 5
    assert answers[-1].status_code == 429 and int(answers[-1]["Retry-After"]) >= 1
    assert client.post(first.url, {"code": phone.code(NEXT)}).status_code == 429
    TryCount.objects.all().delete()
    assert client.post(first.url, {"code": phone.code(NEXT)}).status_code == 302


def test_it_costs_nothing_for_who_has_none(people):
    """No statement more, whichever way one looks for a second factor."""
    password("bob")
    with CaptureQueriesContext(
        connection,
    ) as said:
        password("bob")
    texts = [query["sql"] for query in said]
    assert not any("secondfactor" in text or "recoverycode" in text for text in texts)
    assert sum("access_grant" in text for text in texts) == 1, (
        "the grants are read once, for the demand and the landing"
    )


def test_where_a_role_demands_one_it_is_set_up_at_the_door(people):
    Role.objects.filter(name="admin").update(second_factor=True)
    client, first = password("root", next="/manage/")
    assert first.url == reverse(SET_UP) and SESSION_KEY not in client.session
    assert client.get(reverse(CODE)).url == reverse(DOOR)
    page = client.get(first.url)
    assert "<svg" in page.content.decode() and page["Cache-Control"] == "no-store"
    phone = offered(page)
    assert offered(client.get(first.url)).secret == phone.secret, "the page may be looked at again"
    assert phone.secret not in str(dict(client.session.items())), "it is sealed in the session"
    assert client.post(first.url, {"code": "12345"}).status_code == 400
    assert not SecondFactor.objects.exists() and client.get("/").status_code == 302
    done = client.post(first.url, {"code": phone.code()})
    text = done.content.decode()
    assert done.status_code == 200 and text.count("<li><code>") == 10 and 'href="/manage/"' in text
    assert client.get("/manage/").status_code == 200
    again, first = password("root")
    assert first.url == reverse(CODE)
    assert again.post(first.url, {"code": phone.code(NEXT)}).status_code == 302


def test_where_a_directory_demands_one(people):
    Directory.objects.update(second_factor=True)
    client, first = password("charlie")
    assert first.url == reverse(SET_UP)
    assert client.get("/").status_code == 302


def test_a_foreign_address_is_not_followed_after_the_code(people):
    """S14."""
    phone, _codes = set_up(people.alice)
    client, first = password("alice", next="//evil.example/")
    assert client.post(first.url, {"code": phone.code(NEXT)}).url == "/"
    Directory.objects.update(second_factor=True)
    client, first = password("charlie", next="https://evil.example/")
    told = client.post(first.url, {"code": offered(client.get(first.url)).code()}).content.decode()
    assert "evil.example" not in told


def test_one_sets_it_up_with_the_password_on_the_page_of_the_account(site, people):
    alice, other = site.client("alice"), site.client("alice")
    _token, secret = create_token(actor=people.actor("alice"), name="script", days=3)
    assert reverse("portal:second-factor") in alice.get("/account/").content.decode()
    phone = offered(alice.get(reverse("portal:second-factor")))

    def turn_on(**more):
        return alice.post(reverse("portal:second-factor"), {"code": phone.code(), "password": PASSWORD, **more})

    assert turn_on(password="wrong").status_code == 400 and turn_on(code="1").status_code == 400
    assert not SecondFactor.objects.exists()
    shown = turn_on()
    assert shown.status_code == 200 and shown["Cache-Control"] == "no-store"
    code = re.search(r"<li><code>([a-z2-7-]+)<", shown.content.decode())[1]
    assert alice.get("/account/").status_code == 200, "who sits here stays"
    assert other.get("/account/").status_code == 302, "other sign-ins end"
    assert ApiToken.objects.count() == 1
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/me/").status_code == 200
    assert code not in alice.get("/account/").content.decode()
    assert alice.get(reverse("portal:second-factor")).url == reverse("portal:account")

    codes = alice.post(reverse("portal:second-factor-codes"), {"code": code})
    assert codes.status_code == 200 and codes.content.decode().count("<li><code>") == 10
    assert alice.post(reverse("portal:second-factor-off"), {"code": code}).status_code == 400
    assert alice.post(reverse("portal:second-factor-off"), {"code": phone.code(NEXT)}).status_code == 302
    assert alice.get("/account/").status_code == 200 and not SecondFactor.objects.exists()


def test_an_administrator_demands_sees_and_resets_it(site, people):
    root = site.client("root")
    role = Role.objects.get(name="pool-user")
    root.post(reverse("portal:role-second-factor", args=[role.pk, "yes"]))
    role.refresh_from_db()
    assert role.second_factor and "demanded" in root.get(reverse("portal:role", args=[role.pk])).content.decode()
    root.post(reverse("portal:role-second-factor", args=[role.pk, "no"]))
    role.refresh_from_db()
    assert not role.second_factor
    set_up(people.alice)
    page = reverse("portal:user", args=[people.alice.pk])
    deed = reverse("portal:user-deed", args=[people.alice.pk, "reset-second-factor"])
    assert deed in root.get(page).content.decode()
    assert root.post(deed).status_code == 302
    assert not SecondFactor.objects.exists() and deed not in root.get(page).content.decode()
    set_up(people.bob)
    call = f"/api/v1/users/{people.bob.pk}/"
    assert root.get(call).json()["second_factor_at"]
    assert root.post(f"{call}reset-second-factor/", content_type="application/json").json()["second_factor_at"] is None
    demand = f"/api/v1/roles/{role.pk}/demand-second-factor/"
    assert root.post(demand, {"demanded": True}, content_type="application/json").json()["second_factor"] is True
    where = f"/api/v1/directories/{people.directory.pk}/"
    assert root.patch(where, {"second_factor": True}, content_type="application/json").json()["second_factor"] is True


def test_guests_have_none(people, site):
    guests = Directory.objects.create(name="Guests", kind="guest")
    User.objects.filter(pk=people.alice.pk).update(directory=guests)
    assert site.client("alice").get(reverse("portal:second-factor")).status_code == 403
