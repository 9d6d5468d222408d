"""Signing on in guests at every door: set for a pool and a machine, told on pages, in the API and the back office."""

import pytest
from django.urls import reverse

from broker.connections.actions import set_console_policy
from broker.connections.models import Session, SignOn
from broker.connections.policy import policy_for
from broker.core import clock
from broker.core.errors import Conflict
from broker.directories.models import Directory

pytestmark = pytest.mark.django_db
WORDS = {"clipboard": "both", "files": "on", "usb": "on", "lock_after": "0", "speed": "0", "quality": "9"}


@pytest.fixture
def failed(site):
    """Alice opened her desktop, whose guest has no helper."""
    session = Session.objects.create(user=site.world.alice, vm=site.desktop, gateway="g1", web_session="x")
    cause = Conflict(
        "The guest of %(name)s has no helper for signing on.", rule="guest.helper", fix="Install it.", name="desk-1"
    )
    return SignOn.objects.create(
        session=session, due_at=None, ended_at=clock.now(), account="alice", outcome="failed", error=cause.as_dict()
    )


@pytest.mark.parametrize("page", ["pool-console-policy", "vm-console-policy"])
def test_the_form_sets_it(site, page):
    obj = site.pool if page.startswith("pool") else site.server
    address = reverse(f"portal:{page}", args=[obj.pk])
    assert "Sign-on in the desktop" in site.client("root").get(address).content.decode()
    answer = site.client("root").post(address, WORDS | {"sign_on": "agent"})
    assert answer.status_code == 302 and policy_for(obj).sign_on == "agent"
    assert "You are signed on in the desktop" in site.client("root").get(address).content.decode()
    assert site.client("alice").get(address).status_code == (403 if obj is site.pool else 404)
    assert site.client("root").post(address, WORDS | {"sign_on": "sideways"}).status_code != 302
    assert policy_for(obj).sign_on == "agent"


def test_only_who_may_set_it_finds_the_way_there(site):
    address = reverse("portal:vm-console-policy", args=[site.desktop.pk])
    machine = reverse("portal:vm", args=[site.desktop.pk])
    assert address in site.client("root").get(machine).content.decode()
    assert address not in site.client("alice").get(machine).content.decode()


def test_the_api_sets_it_and_tells_what_came_of_it(site, failed):
    client = site.client("root")
    for path, obj in ((f"pools/{site.pool.pk}", site.pool), (f"vms/{site.desktop.pk}", site.desktop)):
        address = f"/api/v1/{path}/console-policy/"
        answer = client.patch(address, {"sign_on": "agent"}, content_type="application/json").json()
        assert answer["sign_on"] == "agent" and policy_for(obj).sign_on == "agent"
        assert client.patch(address, {"sign_on": "x"}, content_type="application/json").status_code == 400
    told = client.get(f"/api/v1/sessions/{failed.pk}/").json()["sign_on"]
    assert (told["outcome"], told["account"], told["error"]["rule"]) == ("failed", "alice", "guest.helper")
    assert told["error"]["fix"] == "Install it."
    other = Session.objects.create(user=site.world.alice, vm=site.desktop, gateway="g1")
    assert client.get(f"/api/v1/sessions/{other.pk}/").json()["sign_on"] is None


def test_a_directorys_names_are_set_by_page_api_and_back_office(site):
    directory, client = site.world.directory, site.client("root")
    address = f"/api/v1/directories/{directory.pk}/"
    assert client.get(address).json()["guest_name"] == "{login}"
    assert client.patch(address, {"guest_name": "$(id)"}, content_type="application/json").status_code == 400
    assert client.patch(address, {"guest_name": ""}, content_type="application/json").json()["guest_name"] == ""
    form = {"name": "Local", "order": "100", "enabled": "on", "guest_name": "u-{name}"}
    page = reverse("portal:directory-edit", args=[directory.pk])
    assert client.post(page, form).status_code == 302
    assert Directory.objects.get().guest_name == "u-{name}"
    assert "no pattern" in client.post(page, form | {"guest_name": "everybody"}).content.decode()
    desk = reverse("admin:directories_directory_change", args=[directory.pk])
    assert client.post(desk, form | {"guest_name": "w-{login}"}).status_code == 302
    assert Directory.objects.get().guest_name == "w-{login}"


def test_sessions_and_the_back_office_tell_the_cause(site, failed):
    for address in (reverse("portal:sessions"), reverse("admin:connections_signon_changelist")):
        page = site.client("root").get(address).content.decode()
        assert "The guest of desk-1 has no helper for signing on. Install it." in page, address


def test_the_console_tells_that_it_is_under_way_and_for_a_moment_why_it_failed(site, failed):
    set_console_policy(actor=site.world.actor("root"), obj=site.pool, sign_on="agent")
    address = reverse("portal:console-state", args=[site.desktop.pk])

    def told(who="alice"):
        counts = site.client(who).get(address).json()["countdowns"]
        return [one["text"] for one in counts if one["kind"] == "sign-on"]

    (text,) = told()
    assert text.startswith("You were not signed on in the desktop") and "no helper" in text and "Install it." in text
    SignOn.objects.update(outcome="", ended_at=None, error={})
    assert told() == ["You are being signed on in the desktop …"]
    assert told("root") == []
    SignOn.objects.update(outcome="signed-on", ended_at=clock.now())
    assert told() == []
