"""Who sees which page: everybody their own, administrators all, strangers a 404, the signed-out the door."""

import pytest
from django.urls import reverse

from broker.connections.models import ConsoleTicket
from broker.events.models import Event
from broker.jobs.models import Job

LISTS = ("home", "dashboard", "vms", "pools", "templates", "hosts", "storage", "networks", "jobs", "events",
         "recordings", "users", "groups", "directories")  # fmt: skip
FORMS = ("vm-new", "pool-new", "template-new", "host-new", "storage-new", "network-new", "user-new",
         "group-new")  # fmt: skip


def pages_of(site) -> dict[str, object]:
    """Every page of one object, by url name."""
    world = site.world
    return {
        "vm": site.server.pk, "vm-edit": site.server.pk, "vm-hardware": site.server.pk, "console": site.server.pk,
        "pool": site.pool.pk,
        "pool-explain": site.pool.pk, "vm-explain": site.server.pk, "booking-calendar": site.pool.pk,
        "pool-bookings": site.pool.pk, "pool-booking-rules": site.pool.pk,
        "vm-changes": site.server.pk, "card-new": site.server.pk, "vm-once": site.server.pk,
        "vm-clone": site.server.pk, "network-edit": world.network.pk,
        "vm-disks": site.server.pk, "disk-new": site.server.pk, "snapshot-new": site.server.pk,
        "pool-edit": site.pool.pk, "pool-times": site.pool.pk, "pool-wait": site.pool.pk,
        "cluster": world.cluster.pk, "cluster-edit": world.cluster.pk, "host-edit": world.host.pk,
        "storage-edit": world.storage.pk, "template": world.template.pk, "host": world.host.pk,
        "storage-one": world.storage.pk, "network": world.network.pk, "job": site.job.pk,
        "version-new": world.template.pk, "user": world.bob.pk, "user-edit": world.bob.pk,
        "user-password": world.bob.pk, "group": world.staff.pk,
        "directory": world.directory.pk, "directory-edit": world.directory.pk,
    }  # fmt: skip


@pytest.mark.parametrize("name", LISTS + FORMS)
def test_an_administrator_opens_every_list_and_form(site, name):
    response = site.client("root").get(reverse(f"portal:{name}"))
    assert response.status_code == 200
    assert "<main" in response.content.decode()


def test_an_administrator_opens_every_object(site):
    client = site.client("root")
    for name, pk in pages_of(site).items():
        assert client.get(reverse(f"portal:{name}", args=[pk])).status_code == 200, name


def test_a_stranger_finds_no_object(site):
    client = site.client("charlie")
    for name, pk in pages_of(site).items():
        response = client.get(reverse(f"portal:{name}", args=[pk]))
        assert response.status_code == 404, name
        assert site.server.name not in response.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_a_strangers_lists_are_empty(site, name):
    response = site.client("charlie").get(reverse(f"portal:{name}"))
    assert response.status_code == 200
    text = response.content.decode()
    for secret in ("secret-server", "Desk pool", "host-1", "desk-1", "Lab server", "Something happened"):
        assert secret not in text, (name, secret)


@pytest.mark.parametrize("name", LISTS + FORMS)
def test_without_signing_in_every_page_leads_to_the_door(site, name):
    response = site.client("").get(reverse(f"portal:{name}"))
    assert response.status_code == 302
    assert response.url.startswith(reverse("portal:sign-in"))


def test_scripts_without_a_sign_in_get_401(site):
    ticket = reverse("portal:console-ticket", args=[site.desktop.pk])
    assert site.client("").post(ticket, headers={"Accept": "application/json"}).status_code == 401
    live = site.client("").get("/", headers={"HX-Request": "true"})
    assert live.status_code == 401 and live["HX-Redirect"] == reverse("portal:sign-in")


def test_alice_sees_her_desktop_and_her_pool_and_nothing_else(site):
    text = site.client("alice").get("/").content.decode()
    assert f"card-vm-{site.desktop.pk}" in text
    assert f"card-pool-{site.pool.pk}" in text
    for other in (site.granted, site.server, site.free):
        assert str(other.pk) not in text
    assert site.client("alice").get(reverse("portal:vm", args=[site.desktop.pk])).status_code == 200
    assert site.client("alice").get(reverse("portal:vm", args=[site.server.pk])).status_code == 404


def test_bob_sees_the_machine_granted_to_him(site):
    client = site.client("bob")
    text = client.get("/").content.decode()
    assert "Lab server" in text and str(site.desktop.pk) not in text
    assert client.get(reverse("portal:vm", args=[site.granted.pk])).status_code == 200
    assert client.get(reverse("portal:console", args=[site.desktop.pk])).status_code == 404


def test_a_full_share_of_a_pool_hides_its_card(site):
    site.seat("desk-9", 9, holder=site.world.alice)
    assert f"card-pool-{site.pool.pk}" not in site.client("alice").get("/").content.decode()


def test_users_without_rights_to_manage_see_no_way_there(site):
    assert reverse("portal:dashboard") not in site.client("alice").get("/").content.decode()
    assert reverse("portal:dashboard") in site.client("root").get("/").content.decode()


DEEDS = (
    ("vm-power", ("start",)), ("vm-power", ("power-off",)), ("vm-connect", ()), ("vm-delete", ()),
    ("vm-release", ()), ("console-ticket", ()), ("console-file", ()), ("console-rdp", ()),
)  # fmt: skip


@pytest.mark.parametrize(("name", "more"), DEEDS)
def test_a_stranger_can_do_nothing_to_a_machine(site, name, more):
    address = reverse(f"portal:{name}", args=[site.desktop.pk, *more])
    jobs = Job.objects.count()
    assert site.client("charlie").post(address).status_code == 404
    assert Job.objects.count() == jobs and not ConsoleTicket.objects.exists()


@pytest.mark.parametrize(("name", "more"), DEEDS)
def test_nothing_changes_by_get(site, name, more):
    assert site.client("root").get(reverse(f"portal:{name}", args=[site.desktop.pk, *more])).status_code == 405


def test_posts_from_elsewhere_are_refused(site):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(site.world.alice)
    response = client.post(reverse("portal:vm-power", args=[site.desktop.pk, "power-off"]))
    assert response.status_code == 403
    assert not Job.objects.filter(subject_id=site.desktop.pk).exists()


def test_managing_a_pool_needs_the_right(site):
    client = site.client("alice")
    for name, args in (
        ("pool-delete", ()), ("pool-entitle", ()), ("pool-edit", ()), ("pool-times", ()),
    ):  # fmt: skip
        response = client.post(reverse(f"portal:{name}", args=[site.pool.pk, *args]), {"name": "charlie"})
        assert response.status_code in (403, 400), name
    site.pool.refresh_from_db()
    assert site.pool.state == "active"
    assert "charlie" not in str(list(site.world.charlie.grants.all()))


def test_a_refusal_is_told_and_recorded(site):
    address = reverse("portal:vm-delete", args=[site.granted.pk])
    response = site.client("bob").post(address, headers={"HX-Request": "true"})
    assert response.status_code == 403
    assert "berth:toast" in response["HX-Trigger"] and "administrator" in response["HX-Trigger"]
    assert Event.objects.filter(kind="portal.refused", actor=site.world.bob).exists()
    page = site.client("bob").post(address)
    assert page.status_code == 403 and "Ask an administrator" in page.content.decode()


def test_the_screen_of_somebody_else_is_not_shown(site, monkeypatch):
    from broker.virt import screens

    monkeypatch.setattr(screens, "latest", lambda vm_id: (b"RIFFxxxxWEBP", 1.0))
    address = reverse("portal:screen", args=[site.desktop.pk])
    assert site.client("alice").get(address).status_code == 200
    assert site.client("bob").get(address).status_code == 404
    site.world.grant(site.world.bob, "auditor")
    assert site.client("bob").get(address).status_code == 403
