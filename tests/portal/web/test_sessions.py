"""The pages of sessions: who sees which, what can be asked for there, and that lists stay cheap."""

import json
import time
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.connections.models import Help, Message, Session, Share
from broker.connections.secrets import fingerprint
from broker.core import clock
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Pool, SessionRules

SCREENS = [{"kind": "vnc", "unix": "/run/berth/x.sock", "host": "", "port": 0, "tls": False}]


@pytest.fixture
def there(site):
    """Alice's screen."""
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=SCREENS)
    return Session.objects.create(user=site.world.alice, vm=site.desktop, gateway="g1", address="192.0.2.7")


def as_json(client, address: str, body=None):
    kind = "application/json"
    return client.post(address, json.dumps(body or {}), content_type=kind, headers={"Accept": kind})


def test_who_sees_which_sessions(site, there):
    page = reverse("portal:sessions")
    assert "192.0.2.7" in site.client("root").get(page).text
    assert "192.0.2.7" in site.client("alice").get(page).text, "one's own"
    for name in ("bob", "charlie"):
        assert "192.0.2.7" not in site.client(name).get(page).text
    assert site.client("").get(page).status_code == 302


def test_filters(site, there):
    client, page = site.client("root"), reverse("portal:sessions")
    Session.objects.update(state="closed", close_reason="time-limit")
    assert "192.0.2.7" not in client.get(page).text
    shown = client.get(page, {"show": "all", "pool": str(site.pool.pk), "purpose": "own", "q": "alice"}).text
    assert "192.0.2.7" in shown and "time limit" in shown
    assert "192.0.2.7" not in client.get(page, {"show": "all", "purpose": "look"}).text


def test_the_list_costs_the_same_at_any_length(site, there):
    def cost() -> int:
        client = site.client("root")
        with CaptureQueriesContext(connection) as told:
            assert client.get(reverse("portal:sessions")).status_code == 200
        return len(told)

    one = cost()
    for number in range(8):
        vm = site.seat(f"more-{number}", 10 + number, holder=site.world.bob)
        Session.objects.create(user=site.world.bob, vm=vm, gateway="g1")
    assert cost() == one


def test_ending_and_asking(site, there):
    assert site.client("charlie").post(reverse("portal:session-end", args=[there.pk])).status_code == 404
    assert site.client("charlie").post(reverse("portal:session-ask", args=[there.pk, "look"])).status_code == 404
    root = site.client("root")
    assert root.post(reverse("portal:session-ask", args=[there.pk, "everything"])).status_code == 400
    answer = root.post(reverse("portal:session-ask", args=[there.pk, "look"]))
    assert answer.status_code == 302 and f"help={Help.objects.get().pk}" in answer.url
    assert root.post(reverse("portal:session-ask", args=[there.pk, "look"])).url == answer.url, "asked once"
    root.post(reverse("portal:session-end", args=[there.pk]))
    there.refresh_from_db()
    assert there.close_reason == "ended"


def test_several_at_once_tell_what_failed(site, there):
    root, page = site.client("root"), reverse("portal:sessions")
    both = [site.desktop.pk, site.free.pk, "nonsense"]
    answer = root.post(
        reverse("portal:sessions-bulk"), {"verb": "message", "text": "Hello", "vm": both},
        headers={"Referer": f"http://testserver{page}"}, follow=True,
    )  # fmt: skip
    assert "1 of 2 accepted" in answer.text and "desk-2: Nobody is at the screen" in answer.text
    assert Message.objects.get().text == "Hello"
    assert site.client("charlie").post(
        reverse("portal:sessions-bulk"), {"verb": "give-back", "vm": [site.desktop.pk]}
    ).status_code == 302  # fmt: skip
    assert Desktop.objects.get(pk=site.desktop.pk).holder == site.world.alice
    assert root.post(reverse("portal:sessions-bulk"), {"verb": "explode", "vm": both}).status_code == 400


def test_the_ticket_is_refused_without_consent_and_the_question_is_told(site, there):
    ticket = reverse("portal:console-ticket", args=[site.desktop.pk])
    assert as_json(site.client("root"), ticket).status_code == 403
    told = as_json(site.client("alice"), ticket)
    assert told.status_code == 409 and told.json()["code"] == "open-elsewhere" and told.json()["since"]
    assert as_json(site.client("alice"), ticket, {"take_over": True}).status_code == 200


def test_the_state_of_the_console_is_for_its_person_and_cheap(site, there):
    alice = site.client("alice")
    Session.objects.update(web_session=fingerprint(alice.session.session_key))
    state = reverse("portal:console-state", args=[site.desktop.pk])
    with CaptureQueriesContext(connection) as told:
        answer = alice.get(state)
    assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
    assert len(told) <= 20
    assert answer.json()["countdowns"] == []
    for name in ("bob", "charlie"):
        assert site.client(name).get(state, headers={"Accept": "application/json"}).status_code == 404


def test_closing_time_is_counted_down_to_at_the_screen_and_told_once_it_is_over(site, there):
    alice, state = site.client("alice"), reverse("portal:console-state", args=[site.desktop.pk])
    hours = [{"days": [0, 1, 2, 3, 4], "start": "08:00", "end": "18:00", "zone": "Europe/Berlin"}]
    Pool.objects.filter(pk=site.pool.pk).update(hours=hours, after_hours="warn")

    def told_at(hour: int, minute: int) -> list[tuple[str, str | None, str]]:
        moment = datetime(2026, 3, 2, hour, minute, tzinfo=UTC)  # a Monday, an hour behind Berlin
        clock.use(wall=lambda: moment, steady_clock=time.monotonic)
        try:
            return [(one["kind"], one["at"], one["text"]) for one in alice.get(state).json()["countdowns"]]
        finally:
            clock.restore()

    assert told_at(16, 40) == []
    ((kind, at, text),) = told_at(16, 50)
    assert (kind, at) == ("hours", "2026-03-02T17:00:00+00:00") and "closes in {time}" in text
    ((kind, at, text),) = told_at(17, 5)
    assert (kind, at) == ("hours", None) and "The pool is closed" in text
    Pool.objects.filter(pk=site.pool.pk).update(after_hours="keep")
    assert told_at(16, 50) == []


def test_a_link_over_the_pages(site, there):
    VirtualMachine.objects.filter(pk=site.desktop.pk).update(consoles=SCREENS)
    shares = reverse("portal:console-shares", args=[site.desktop.pk])
    assert as_json(site.client("bob"), shares).status_code == 404
    made = as_json(site.client("alice"), shares, {"level": "view", "minutes": 5})
    assert made.status_code == 201
    secret = made.json()["link"].partition("#")[2]
    assert as_json(site.client(""), reverse("portal:shared-open"), {"secret": secret}).status_code == 401
    assert as_json(site.client("bob"), reverse("portal:shared-open"), {"secret": "x" * 43}).status_code == 404
    bob = site.client("bob")
    url = as_json(bob, reverse("portal:shared-open"), {"secret": secret}).json()["url"]
    assert bob.get(url).status_code == 200
    ticket = as_json(bob, f"{url}ticket", {"view_only": False}).json()
    assert ticket["view_only"] is True
    assert site.client("charlie").get(url).status_code == 404
    end = reverse("portal:share-end", args=[Share.objects.get().pk])
    assert as_json(site.client("charlie"), end).status_code == 404
    assert as_json(site.client("alice"), end).status_code == 200
    assert bob.get(url).status_code == 404
    assert as_json(bob, f"{url}ticket").status_code == 403


def test_the_form_of_rules(site):
    page = reverse("portal:pool-session-rules", args=[site.pool.pk])
    for name, status in (("alice", 403), ("charlie", 404)):
        assert site.client(name).get(page).status_code == status
        assert site.client(name).post(page, {}).status_code in (403, 404)
    root = site.client("root")
    assert "nothing happens by itself" in root.get(page).text
    sent = {
        "leave": "lock", "leave_after": "0", "then": "give-back", "then_after": "0.5", "logoff": "nothing",
        "logoff_after": "0", "idle": "nothing", "idle_after": "10", "longest": "0", "longest_do": "disconnect",
        "warn_before": "5", "extension": "30", "extensions": "1", "kept": "",
    }  # fmt: skip
    assert root.post(page, sent | {"leave": "shut-down", "then": "lock"}).status_code == 400
    assert not SessionRules.objects.exclude(leave="nothing").exists()
    assert root.post(page, sent).status_code == 302
    assert SessionRules.objects.get().then_after == 30
    assert (
        "goes back to the pool 30 seconds after you leave" in root.get(reverse("portal:pool", args=[site.pool.pk])).text
    )
