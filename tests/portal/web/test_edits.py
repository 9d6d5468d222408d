"""Clusters are made, shown, changed and removed on pages; hosts and storage are changed there."""

import pytest
from django.urls import reverse

from broker.virt.models import Cluster, Host, Nic

from .test_pages import assert_strict

HTMX = {"HX-Request": "true"}
EDITS = {
    "cluster": ("cluster", {"description": "Rack 4"}),
    "host": ("host", {"uri": ""}),
    "storage": ("storage-one", {}),
}


def wish(site, kind: str, **more):
    values = {"name": "renamed", **EDITS[kind][1]}
    if kind == "host":
        values["uri"] = site.world.host.uri
    return values | more


def test_a_cluster_from_its_form_to_its_end(site):
    client = site.client("root")
    assert_strict(client.get(reverse("portal:cluster-new")).content.decode())
    response = client.post(reverse("portal:cluster-new"), {"name": "second", "description": "Rack 2"})
    row = Cluster.objects.get(name="second")
    assert response.url == reverse("portal:cluster", args=[row.pk])
    page = client.get(response.url).content.decode()
    assert_strict(page)
    assert "Rack 2" in page
    listed = client.get(reverse("portal:clusters")).content.decode()
    assert_strict(listed)
    assert reverse("portal:cluster", args=[row.pk]) in listed
    gone = client.post(reverse("portal:cluster-delete", args=[row.pk]), headers=HTMX)
    assert gone.status_code == 204 and not Cluster.objects.filter(name="second").exists()


def test_the_page_of_a_cluster_names_what_is_in_it(site):
    page = site.client("root").get(reverse("portal:cluster", args=[site.world.cluster.pk])).content.decode()
    assert site.world.host.name in page and site.world.storage.name in page and site.world.network.name in page
    refused = site.client("root").post(reverse("portal:cluster-delete", args=[site.world.cluster.pk]), headers=HTMX)
    assert refused.status_code == 409 and Cluster.objects.filter(pk=site.world.cluster.pk).exists()


def test_a_clusters_ranges_of_addresses(site):
    client, cluster = site.client("root"), site.world.cluster
    there, edit = (reverse(name, args=[cluster.pk]) for name in ("portal:cluster", "portal:cluster-edit"))
    assert "addresses of new network cards begin with 52:54:00" in client.get(there).content.decode()
    bad = client.post(edit, {"name": "main", "mac_ranges": "53:00:00:00:00:00-53:00:00:00:00:09"})
    assert bad.status_code == 400 and "is not a range of addresses" in bad.content.decode()
    ranges = "52:54:00:00:00:00-52:54:00:00:00:0b\r\n02:00:00:00:00:00-02:00:00:00:0f:ff"
    assert client.post(edit, {"name": "main", "mac_ranges": ranges}).status_code == 302
    Cluster.objects.create(name="beside", mac_ranges="52:54:00:00:00:0b-52:54:00:00:00:ff")
    page = client.get(there).content.decode()
    assert_strict(page)
    cards = Nic.objects.filter(mac__lte="52:54:00:00:00:0b").count()
    assert 2 <= cards < 12
    for words in (f"{cards} of 12", f"{12 - cards} free", "0 of 4096", "shared with beside"):
        assert words in page, words
    assert page.count("shared with") == 1
    assert "02:00:00:00:00:00-02:00:00:00:0f:ff" in client.get(edit).content.decode()


@pytest.mark.parametrize("kind", EDITS)
def test_changing_one_leads_back_to_its_page(site, kind):
    row, client = getattr(site.world, kind), site.client("root")
    address = reverse(f"portal:{kind}-edit", args=[row.pk])
    page = client.get(address)
    assert page.status_code == 200 and row.name in page.content.decode()
    assert_strict(page.content.decode())
    response = client.post(address, wish(site, kind))
    assert response.url == reverse(f"portal:{EDITS[kind][0]}", args=[row.pk])
    row.refresh_from_db()
    assert row.name == "renamed"


@pytest.mark.parametrize("kind", EDITS)
def test_a_wrong_or_taken_name_is_told(site, kind):
    row, client = getattr(site.world, kind), site.client("root")
    address = reverse(f"portal:{kind}-edit", args=[row.pk])
    wrong = client.post(address, wish(site, kind, name="no spaces"))
    assert wrong.status_code == 400 and 'id="id_name_error"' in wrong.content.decode()
    others = {"host": {"uri": "sim://other"}, "storage": {"path": "/srv/other"}, "cluster": {}}[kind]
    model = type(row)
    model.objects.create(name="taken", **others, **({} if kind == "cluster" else {"cluster": site.world.cluster}))
    taken = client.post(address, wish(site, kind, name="taken"))
    assert taken.status_code == 400 and "Choose another name" in taken.content.decode()


@pytest.mark.parametrize("kind", EDITS)
def test_changing_is_for_those_who_manage_it(site, kind):
    row = getattr(site.world, kind)
    address = reverse(f"portal:{kind}-edit", args=[row.pk])
    site.world.grant(site.world.bob, "auditor")
    for who, status in (("charlie", 404), ("bob", 403)):
        client = site.client(who)
        assert client.get(address).status_code == status
        assert client.post(address, wish(site, kind)).status_code == status
    row.refresh_from_db()
    assert row.name != "renamed"


def test_the_address_of_a_host_changes_in_maintenance_alone(site):
    client, host = site.client("root"), site.world.host
    address = reverse("portal:host-edit", args=[host.pk])
    refused = client.post(address, wish(site, "host", uri="sim://elsewhere"))
    assert refused.status_code == 400 and "maintenance" in refused.content.decode()
    Host.objects.filter(pk=host.pk).update(state="maintenance")
    assert client.post(address, wish(site, "host", uri="sim://elsewhere")).status_code == 302
    host.refresh_from_db()
    assert host.uri == "sim://elsewhere"


def test_a_storage_says_what_becomes_of_what_is_deleted_there(site):
    row, client = site.world.storage, site.client("root")
    there = reverse("portal:storage-edit", args=[row.pk])
    for sent, kept, words in (({"wipe_after_delete": "on"}, True, "is overwritten first"), ({}, False, "is removed")):
        assert client.post(there, {"name": row.name, **sent}).status_code == 302
        row.refresh_from_db()
        assert row.wipe_after_delete is kept
        assert words in client.get(reverse("portal:storage-one", args=[row.pk])).content.decode()
