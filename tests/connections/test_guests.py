"""People without an account at a shared screen: only where the policy has it so, and only as long as the link."""

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse

from broker.access.actor import Actor
from broker.connections.actions import (
    create_share,
    end_share,
    issue_ticket,
    open_share,
    redeem_ticket,
    set_console_policy,
)
from broker.connections.actions.enter_as_guest import enter_as_guest
from broker.connections.models import Guest, Session, Share
from broker.connections.queries import must_end
from broker.connections.reconcile import tidy
from broker.connections.rules import GUESTS_KEPT, GUESTS_PER_SHARE
from broker.core import clock
from broker.core.errors import Conflict, Invalid, Missing, OverQuota
from broker.directories.actions.set_password import set_password
from broker.directories.models import Directory, User
from broker.events.models import Event

from .conftest import GATEWAY, sign_in

pytestmark = pytest.mark.django_db
NOBODY = Actor(user=None, name="anonymous", address="192.0.2.77")


@pytest.fixture
def allowed(setting):
    set_console_policy(actor=Actor.system("test"), obj=setting.vm, guests=True)
    return setting


@pytest.fixture
def link(allowed):
    return create_share(actor=allowed.actor(), vm=allowed.vm, everybody=True)


def come(link, name="Maria"):
    return enter_as_guest(actor=NOBODY, secret=link.secret, name=name)


def actor(guest, key):
    return Actor(user=User.objects.get(pk=guest.pk), name=guest.user.username, address="192.0.2.77", session_key=key)


def at_the_screen(setting, guest):
    key = sign_in(guest.user)
    ticket = issue_ticket(actor=actor(guest, key), vm=setting.vm, share=guest.share)
    session, _ = redeem_ticket(actor=GATEWAY, secret=ticket.secret, web_session=key, address="192.0.2.77", gateway="g1")
    return session, key


def test_without_the_policy_there_is_no_such_link(setting):
    with pytest.raises(Conflict) as refused:
        create_share(actor=setting.actor(), vm=setting.vm, everybody=True)
    assert refused.value.rule == "console.guests"
    plain = create_share(actor=setting.actor(), vm=setting.vm)
    with pytest.raises(Missing):
        enter_as_guest(actor=NOBODY, secret=plain.secret, name="Maria")
    set_console_policy(actor=Actor.system("test"), obj=setting.vm, guests=True)
    with pytest.raises(Missing):
        come(plain)
    assert not Guest.objects.exists() and not Directory.objects.filter(kind="guest").exists()


def test_a_guest_sees_that_screen_and_nothing_else(allowed, link):
    guest = come(link)
    session, key = at_the_screen(allowed, guest)
    assert (session.view_only, session.purpose, must_end({session.pk: key})) == (True, "share", {})
    event = Event.objects.get(kind="session.guest-came")
    assert event.address == "192.0.2.77" and "Maria" in event.message
    client = Client()
    client.force_login(guest.user)
    assert allowed.vm.name not in client.get("/").content.decode()
    for path in ("vms", "pools", "users", "sessions", "hosts", "events"):
        rows = client.get(f"/api/v1/{path}/").json().get("results", [])
        assert [row for row in rows if path != "sessions" and "Maria" not in str(row)] == [], path
    assert client.get(f"/vms/{allowed.vm.pk}/").status_code == 404
    another = create_share(actor=allowed.actor(), vm=allowed.vm)
    with pytest.raises(Missing):
        open_share(actor=actor(guest, key), secret=another.secret)
    with pytest.raises(Conflict):
        set_password(actor=actor(guest, key), user=guest.user, password="correct horse battery")
    assert authenticate(None, username=guest.user.username, password="") is None


@pytest.mark.parametrize("how", ["ended", "over", "policy", "owner"])
def test_it_ends_with_the_link(allowed, link, how):
    guest = come(link)
    session, key = at_the_screen(allowed, guest)
    if how == "ended":
        end_share(actor=allowed.actor(), share=link.share)
    elif how == "over":
        Share.objects.update(expires_at=clock.now())
    elif how == "policy":
        set_console_policy(actor=Actor.system("test"), obj=allowed.vm, guests=False)
    else:
        allowed.world.alice.grants.all().delete()
    tidy()
    assert must_end({session.pk: key})[session.pk] in ("consent-ended", "disabled", "ended")
    with pytest.raises(Missing):
        come(link)
    assert how == "owner" or not User.objects.get(pk=guest.pk).is_active
    Guest.objects.update(since=clock.now() - GUESTS_KEPT - timedelta(days=1))
    User.objects.filter(pk=guest.pk).update(is_active=False)
    tidy()
    assert not User.objects.filter(pk=guest.pk).exists() and not Session.objects.filter(pk=session.pk).exists()


def test_names_numbers_and_who_is_signed_in(allowed, link):
    for name in ("", "   ", "\u202e\0~", 7):
        with pytest.raises(Invalid):
            come(link, name)
    assert come(link, "root~<b>\u202e").name == "rootb"
    for _ in range(GUESTS_PER_SHARE - 1):
        come(link)
    assert User.objects.filter(directory__kind="guest").count() == GUESTS_PER_SHARE
    with pytest.raises(OverQuota):
        come(link)
    with pytest.raises(Conflict):
        enter_as_guest(actor=allowed.actor(), secret=link.secret, name="x")


def test_the_way_in_over_the_page(allowed, link):
    client = Client(enforce_csrf_checks=True)
    page = client.get(reverse("portal:shared")).content.decode()
    assert "Look in as a guest" in page
    body, kind = {"secret": link.secret, "name": "Maria"}, "application/json"
    assert client.post(reverse("portal:shared-enter"), body, kind).status_code == 403, "no token against forgery"
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value, "Accept": kind}
    assert client.post(reverse("portal:shared-enter"), {"secret": "x"}, kind, headers=headers).status_code == 404
    told = client.post(reverse("portal:shared-enter"), body, kind, headers=headers)
    assert told.status_code == 200, told.content
    screen = client.get(told.json()["url"])
    assert screen.status_code == 200 and "Screen of alice" in screen.content.decode()
    assert link.secret not in screen.content.decode()
    set_console_policy(actor=Actor.system("test"), obj=allowed.vm, guests=False)
    assert "Look in as a guest" not in Client().get(reverse("portal:shared")).content.decode()
