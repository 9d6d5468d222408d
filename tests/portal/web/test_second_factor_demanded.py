"""A demand for a second factor that is younger than the sign-ins: none of those made without one goes any further."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.access.models import Role
from broker.directories.demands import hit_by, lacking
from broker.directories.models import Directory, User
from broker.events.models import Event
from portal.live import consumer
from portal.tokens import create_token
from tests.directories.codes import Phone, set_up, stopped_clock  # noqa: F401 - a fixture

HERE = "portal:account"
SET_UP = "portal:sign-in-set-up"


def demand(**row) -> None:
    Directory.objects.filter(**row).update(second_factor=True)


def offered(page) -> Phone:
    return Phone(re.search(r'id="secret">([A-Z2-7 ]+)<', page.content.decode())[1].replace(" ", ""))


def test_the_next_page_is_the_door_and_leads_back(site, at):
    first, second = site.client("alice"), site.client("alice")
    assert first.get(reverse(HERE)).status_code == 200 and second.get(reverse(HERE)).status_code == 200
    demand()
    wanted = reverse(HERE) + "?tab=tokens"
    led = first.get(wanted)
    assert led.url == reverse(SET_UP) and SESSION_KEY not in first.session
    assert Event.objects.filter(kind="user.second-factor-missing", subject_id=site.world.alice.pk).count() == 1
    assert first.get("/").status_code == 302, "nobody is signed in before it is set up"
    phone = offered(first.get(led.url))
    done = first.post(led.url, {"code": phone.code()})
    assert done.status_code == 200 and f'href="{wanted}"' in done.content.decode()
    assert first.get(wanted).status_code == 200
    assert second.get(wanted).url.startswith(reverse("portal:sign-in")), "what was opened without it has ended"


def test_who_has_one_goes_on_and_so_does_who_it_is_not_demanded_of(site, at):
    set_up(site.world.alice)
    alice, charlie = site.client("alice"), site.client("charlie")
    Role.objects.filter(name="pool-user").update(second_factor=True)
    assert alice.get(reverse(HERE)).status_code == 200
    assert charlie.get(reverse(HERE)).status_code == 200
    bob = site.client("bob")
    Role.objects.filter(name="vm-user").update(second_factor=True)
    assert bob.get(reverse(HERE)).url == reverse(SET_UP)


def test_what_a_page_asks_by_itself_is_told_to_open_it_anew(site):
    alice = site.client("alice")
    demand()
    page = f"http://testserver{reverse(HERE)}"
    part = alice.get("/", headers={"HX-Request": "true", "Referer": page})
    assert part.status_code == 401 and part["HX-Redirect"] == page
    console = reverse("portal:console", args=[site.desktop.pk])
    assert "HX-Redirect" not in alice.get(console, headers={"HX-Request": "true"})
    for headers in ({"Accept": "application/json"}, {"Sec-Fetch-Dest": "image"}, {"Sec-Fetch-Dest": "empty"}):
        assert alice.get("/", headers=headers).status_code == 401
    assert SESSION_KEY in alice.session, "the next page is what leads to the door"
    assert alice.post(reverse("portal:vm-power", args=[site.desktop.pk, "stop"])).url == reverse(SET_UP)
    assert not Event.objects.filter(kind__startswith="vm.stop").exists()


def test_the_back_office_too_and_signing_out_works(site):
    root = site.client("root")
    demand()
    assert root.get("/admin/", headers={"Sec-Fetch-Dest": "document"}).url == reverse(SET_UP)
    other = site.client("root")
    assert other.post(reverse("portal:sign-out")).url == reverse(settings.LOGIN_URL)
    assert SESSION_KEY not in other.session


def test_the_api_refuses_sessions_and_tokens_until_it_is_set_up(site, at):
    _token, secret = create_token(actor=site.world.actor("alice"), name="script", days=3)
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    browser = site.client("alice")
    assert program.get("/api/v1/me/").status_code == 200 == browser.get("/api/v1/me/").status_code
    demand()
    for client in (program, browser):
        for answer in (client.get("/api/v1/me/"), client.get("/api/v1/vms/")):
            assert answer.status_code == 403 and answer.json()["rule"] == "second-factor.missing", answer.json()
        made = client.post("/api/v1/tokens/", {"name": "x", "days": 1}, content_type="application/json")
        assert made.status_code == 403
    set_up(site.world.alice)
    assert program.get("/api/v1/me/").status_code == 200
    assert browser.get("/api/v1/me/").status_code in (401, 403), "that sign-in was made without it"


def test_the_administrator_is_told_whom_it_hits_and_sets_up_his_own(site, at):
    root = site.client("root")
    role = Role.objects.get(name="admin")
    page = root.get(reverse("portal:role", args=[role.pk])).content.decode()
    assert "1 person has none" in page and "You are one of them" in page
    edit = reverse("portal:directory-edit", args=[site.world.directory.pk])
    there = User.objects.filter(directory=site.world.directory, is_active=True).count()
    assert f"{there} people have none" in root.get(edit).content.decode()
    office = f"/admin/directories/directory/{site.world.directory.pk}/change/"
    assert f"{there} people have none" in root.get(office).content.decode()
    assert root.post(reverse("portal:role-second-factor", args=[role.pk, "yes"])).status_code == 302
    led = root.get("/manage/")
    assert led.url == reverse(SET_UP)
    assert root.post(led.url, {"code": offered(root.get(led.url)).code()}).status_code == 200
    assert root.get("/manage/").status_code == 200
    assert "Demand no second factor" in root.get(reverse("portal:role", args=[role.pk])).content.decode()


def test_who_is_hit_is_counted_and_found_by_one_query(site, at, django_assert_num_queries):
    world = site.world
    guests = Directory.objects.create(name="Guests", kind="guest", second_factor=True)
    guest = User.objects.create(username="g", directory=guests)
    set_up(world.charlie)
    vm_user = Role.objects.get(name="vm-user")
    world.grant(world.bob, "vm-user", site.server)
    assert {user.username for user in hit_by(vm_user)} == {"bob"}
    Role.objects.filter(pk=vm_user.pk).update(second_factor=True)
    everybody = [world.alice, world.bob, world.charlie, world.root, guest]
    with django_assert_num_queries(1):
        assert lacking(everybody) == {world.bob.pk}
    demand()
    assert lacking(everybody) == {world.alice.pk, world.bob.pk, world.root.pk}
    with django_assert_num_queries(0):
        assert lacking([world.charlie]) == set()


def test_a_page_costs_no_query_more(site):
    """The directory comes with the user, and the rights are read for the page anyway."""
    alice = site.client("alice")
    alice.get("/")
    with CaptureQueriesContext(connection) as said:
        alice.get("/")
    texts = [query["sql"] for query in said]
    assert sum('FROM "access_grant"' in text and "second_factor" in text for text in texts) == 1
    assert not any('FROM "directories_directory"' in text for text in texts)


@pytest.mark.django_db(transaction=True)
def test_two_browsers_at_once_are_both_led(site):
    clients = [site.client("alice") for _ in range(2)]
    demand()

    def ask(client: Client) -> str:
        try:
            return client.get(reverse(HERE)).url
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, clients)) == [reverse(SET_UP)] * 2
    assert all(offered(client.get(reverse(SET_UP))) for client in clients)


async def _listen(key: str) -> ApplicationCommunicator:
    from portal.asgi import application

    origin = settings.ORIGINS[0]
    headers = [(b"origin", origin.encode()), (b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode())]
    scope = {"type": "websocket", "path": "/live/", "query_string": b"", "headers": headers, "subprotocols": []}
    line = ApplicationCommunicator(application, scope)
    await line.send_input({"type": "websocket.connect"})
    assert (await line.receive_output(20))["type"] == "websocket.accept"
    return line


@pytest.mark.django_db(transaction=True)
async def test_live_updates_end_and_do_not_begin(site, monkeypatch):
    monkeypatch.setattr(consumer, "CHECK_EVERY", 0.05)
    client = await sync_to_async(site.client)("alice")
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    line = await _listen(key)
    assert await line.receive_nothing(0.3)
    await sync_to_async(demand)()
    assert (await line.receive_output(20)) == {"type": "websocket.close", "code": consumer.SIGNED_OUT}
    again = await _listen(key)
    assert (await again.receive_output(20))["code"] == consumer.SIGNED_OUT
