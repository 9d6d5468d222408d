"""The list of machines: searching, what is said of a mistake, saved searches, columns, several at once."""

from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.models import Batch, SavedSearch

VMS = "portal:vms"


def titles(response) -> set[str]:
    return {row.title for row in response.context["rows"]}


def test_the_search_language_in_the_page(site):
    client, address = site.client("root"), reverse(VMS)
    assert titles(client.get(address, {"q": "status=off"})) == {"Lab server"}
    assert titles(client.get(address, {"q": 'pool="desk pool"'})) == {"desk-1", "desk-2"}
    ordered = client.get(address, {"q": "sort by name desc"}).context["rows"]
    assert [row.title for row in ordered] == ["secret-server", "Lab server", "desk-2", "desk-1"]
    wrong = client.get(address, {"q": "status=upp"})
    text = wrong.content.decode()
    assert "position 8" in text and "running" in text and titles(wrong) == set()
    assert 'aria-invalid="true"' in text


def test_what_can_be_typed_next(site):
    address = reverse("portal:vms-words")
    assert site.client("root").get(address, {"q": "host=ho"}).json()["words"][0]["text"] == "host-1"
    assert site.client("charlie").get(address, {"q": "host=ho"}).json()["words"] == []
    assert site.client("").get(address, headers={"Accept": "application/json"}).status_code == 401


def test_columns_are_chosen(site):
    client, address = site.client("root"), reverse(VMS)
    text = client.get(address, {"columns": ["address", "owner"]}).content.decode()
    assert "192.0.2.7" in text and "order=host__name" not in text
    assert "order=host__name" in client.get(address, {"columns": "nonsense"}).content.decode()


def test_searches_are_saved_shared_and_removed(site):
    client, save = site.client("root"), reverse("portal:search-save")
    sent = {"name": "Off", "q": "name~lab or name~db", "power": "off", "columns": "address", "shared": "1"}
    assert client.post(save, sent).status_code == 302
    row = SavedSearch.objects.get()
    assert row.text == "(name~lab or name~db) and status=off" and row.columns == ["address"] and row.shared
    text = client.get(reverse(VMS)).content.decode()
    assert "Off" in text and "columns=address" in text
    bob = site.client("bob")
    assert "Off" in bob.get(reverse(VMS)).content.decode()
    assert bob.post(reverse("portal:search-delete", args=[row.pk])).status_code == 403
    assert bob.post(save, {"name": "Theirs", "shared": "1"}).status_code == 403
    assert bob.post(save, {"name": "Mine", "q": "status=off"}).status_code == 302
    assert "Mine" not in client.get(reverse(VMS)).content.decode()
    assert client.post(save, {"name": "Bad", "q": "status=upp"}).status_code == 400
    assert client.post(save, sent).status_code == 409
    assert client.post(reverse("portal:search-delete", args=[row.pk])).status_code == 302
    assert [one.name for one in SavedSearch.objects.all()] == ["Mine"]


def test_several_machines_at_once(site):
    client = site.client("root")
    sent = {"verb": "power-off", "vm": [str(site.desktop.pk), str(site.granted.pk), "x"]}
    response = client.post(reverse("portal:batch-new"), sent)
    batch = Batch.objects.get()
    assert response.status_code == 302 and response.url == reverse("portal:batch", args=[batch.pk])
    assert Job.objects.get(plan="batch.run").subject_id == batch.pk
    text = client.get(response.url).content.decode()
    assert "desk-1" in text and "Not asked yet" in text
    assert site.client("bob").get(response.url).status_code == 404
    assert client.post(reverse("portal:batch-new"), {"verb": "start"}).status_code == 400
