"""The page of what waits for a machine's next start and of its cards, and what its buttons and forms do."""

import pytest
from django.urls import reverse

from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.virt.models import Nic, PendingChange


@pytest.fixture
def card(site):
    """The server runs, two things wait for its next start, and it has a card."""
    type(site.server).objects.filter(pk=site.server.pk).update(power_state="running", host=site.world.host)
    Job.objects.filter(subject_id=site.server.pk).delete()
    why = Conflict("It has <b> %(most)s at most.", fix="Wait.", most=2)
    PendingChange.objects.create(
        vm=site.server, values={"vcpus": 7, "tpm": True}, reasons={"vcpus": why.as_dict()}, asked_by="root"
    )
    site.server.nics.all().delete()
    return Nic.objects.create(vm=site.server, network=site.world.network, mac="52:54:00:00:00:77", leased="10.0.0.7")


def address(site, name, *more):
    return reverse(f"portal:{name}", args=[site.server.pk, *(one.pk for one in more)])


def waits(site):
    row = PendingChange.objects.filter(vm=site.server).first()
    return row.values if row else {}


def test_a_machine_that_was_adopted_shows_hardware_that_berth_offers_nobody(site):
    type(site.server).objects.filter(pk=site.server.pk).update(options={"video": "cirrus", "tpm": True})
    text = site.client("root").get(address(site, "vm")).content.decode()
    assert ": cirrus" in text


def test_the_diff_is_shown_with_its_reason_and_undone(site, card):
    root = site.client("root")
    text = root.get(address(site, "vm-changes")).content.decode()
    assert "It has &lt;b&gt; 2 at most. Wait." in text and card.mac in text and "10.0.0.7" in text
    text = root.get(reverse("portal:vm", args=[site.server.pk])).content.decode()
    assert "Processors" in text and "→ 7" in text and "TPM no → yes" in text
    assert site.client("charlie").post(address(site, "changes-undo")).status_code == 404
    root.post(address(site, "changes-undo"), {"field": "vcpus"})
    assert waits(site) == {"tpm": True}
    root.post(address(site, "changes-apply"))
    assert Job.objects.filter(subject_id=site.server.pk, plan="vm.change").count() == 1


def test_cards_are_added_changed_and_removed(site, card):
    root, network = site.client("root"), site.world.network
    values = {"network": network.pk, "model": "virtio", "in_kib": 0, "out_kib": 500, "guard": "mac", "connected": "on"}
    assert root.post(address(site, "card-new"), {**values, "mac": "no"}).status_code == 400
    assert root.post(address(site, "card-new"), values).status_code == 302
    made = site.server.nics.get(out_kib=500)
    assert not made.plugged and waits(site)["nics"] == {str(made.pk): {"plug": True}}
    there = address(site, "card-edit", card)
    assert site.client("charlie").get(there).status_code == 404
    assert root.post(there, {**values, "guard": "", "out_kib": 0, "model": "e1000e"}).status_code == 302
    assert waits(site)["nics"][str(card.pk)] == {"model": "e1000e"}
    assert root.post(address(site, "card-delete", card), headers={"HX-Request": "true"}).status_code == 204
    assert waits(site)["nics"][str(card.pk)] == {"gone": True}


def test_a_machine_is_edited_with_all_that_is_noted_of_it(site, card):
    root, there = site.client("root"), reverse("portal:vm-edit", args=[site.server.pk])
    assert 'value="7"' in root.get(there).content.decode(), "its size as it will be"
    values = {"title": "", "description": "", "vcpus": 7, "memory_mib": site.server.memory_mib, "notes": "Ask Bob"}
    bad = root.post(there, {**values, "own_fields": "no equals"})
    assert bad.status_code == 400 and "field-error" in bad.content.decode()
    assert root.post(there, {**values, "tags": "web, db", "own_fields": "centre=4711\nrack = 7"}).status_code == 302
    assert [tag.name for tag in site.server.tags.all()] == ["db", "web"]
    assert [str(one) for one in site.server.own_fields.all()] == ["centre=4711", "rack=7"]


def test_a_machine_is_set_to_start_with_its_host_and_a_desktop_is_not(site, card):
    root, there = site.client("root"), reverse("portal:vm-edit", args=[site.server.pk])
    values = {"title": "", "description": "", "vcpus": 7, "memory_mib": site.server.memory_mib}
    started = {**values, "autostart": "on", "autostart_order": 3, "autostart_delay": 20}
    assert root.post(there, {**started, "autostart_order": 101}).status_code == 400
    assert root.post(there, started).status_code == 302
    site.server.refresh_from_db()
    assert (site.server.autostart, site.server.autostart_order, site.server.autostart_delay) == (True, 3, 20)
    page = root.get(reverse("portal:vm", args=[site.server.pk])).content.decode()
    assert "Starts with its host" in page and "order 3, then 20 s" in page
    assert root.post(there, values).status_code == 302
    site.server.refresh_from_db()
    assert (site.server.autostart, site.server.autostart_order) == (False, 3)
    assert "Starts with its host" not in root.get(reverse("portal:vm", args=[site.server.pk])).content.decode()
    assert "autostart" not in root.get(reverse("portal:vm-edit", args=[site.desktop.pk])).content.decode()


def test_a_copy_and_a_start_that_is_different_need_it_off(site, card):
    root = site.client("root")
    assert root.post(address(site, "vm-clone"), {"name": "copy"}).status_code == 400
    assert root.post(address(site, "vm-once"), {"boot": "network-disk"}).status_code == 400
    type(site.server).objects.filter(pk=site.server.pk).update(power_state="off")
    assert root.post(address(site, "vm-once"), {"boot": "network-disk"}).status_code == 302
    assert Job.objects.get(subject_id=site.server.pk, plan="vm.start").args["boot"] == "network-disk"


def test_a_network_is_edited(site):
    there = reverse("portal:network-edit", args=[site.world.network.pk])
    kept = {"name": "renamed", "subnet": site.world.network.subnet, "bridge": site.world.network.bridge, "guard": "mac"}
    assert site.client("root").post(there, kept).status_code == 302
    site.world.network.refresh_from_db()
    assert (site.world.network.name, site.world.network.guard) == ("renamed", "mac")
