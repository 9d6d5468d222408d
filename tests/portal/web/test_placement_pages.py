"""The pages of placement: rules are set, groups made and changed, and the two rehearsals change nothing."""

import pytest
from django.urls import reverse

from broker.core.tables import complete
from broker.virt.models import AffinityGroup, Host, VirtualMachine
from broker.virt.placement.policy import SETTINGS

from .test_pages import assert_strict

HTMX = {"HX-Request": "true"}


def running(site, name: str, **more) -> VirtualMachine:
    return VirtualMachine.objects.create(
        cluster=site.world.cluster, host=site.world.host, name=name, state="ready", power_state="running", **more
    )


def test_rules_are_set_and_refused(site):
    client, cluster = site.client("root"), site.world.cluster
    address = reverse("portal:cluster-rules", args=[cluster.pk])
    assert_strict(client.get(address).content.decode())
    values = complete(SETTINGS, {}) | {"policy": "power_saving", "high_utilization": 70}
    assert client.post(address, values).status_code == 302
    cluster.refresh_from_db()
    assert (cluster.rules["policy"], cluster.rules["high_utilization"]) == ("power_saving", 70)
    assert client.post(address, values | {"high_utilization": 12}).status_code == 400
    assert site.client("charlie").get(address).status_code == 404


def test_a_group_from_its_form_to_its_end(site):
    client, cluster = site.client("root"), site.world.cluster
    one, two = running(site, "one"), running(site, "two")
    wish = {"name": "apart", "machines": [one.pk, two.pk], "machine_rule": "apart", "machine_hard": "on"}
    new = reverse("portal:group-of-cluster-new", args=[cluster.pk])
    assert_strict(client.get(new).content.decode())
    assert client.post(new, wish).status_code == 302
    group = AffinityGroup.objects.get(name="apart")
    assert set(group.machines.all()) == {one, two}
    listed = client.get(reverse("portal:groups-of-cluster", args=[cluster.pk])).content.decode()
    assert_strict(listed)
    assert "one, two" in listed
    edit = reverse("portal:affinity-group-edit", args=[group.pk])
    assert_strict(client.get(edit).content.decode())
    assert client.post(edit, wish | {"machine_rule": "together"}).status_code == 302
    group.refresh_from_db()
    assert group.machine_rule == "together"
    gone = client.post(reverse("portal:affinity-group-delete", args=[group.pk]), headers=HTMX)
    assert gone.status_code == 204
    assert not AffinityGroup.objects.exists()


@pytest.mark.parametrize("page", ["cluster-what-if", "cluster-balance"])
def test_the_rehearsals_say_what_would_be_done(site, page):
    world = site.world
    Host.objects.create(
        cluster=world.cluster, name="host-2", driver="simulated", uri="sim://h2", memory_bytes=2**34,
        memory_free_bytes=2**33,
    )  # fmt: skip
    lucky, poor = running(site, "lucky", available=True), running(site, "poor")
    group = AffinityGroup.objects.create(cluster=world.cluster, name="g", machine_rule="apart")
    group.machines.set([lucky, poor])
    text = site.client("root").get(reverse(f"portal:{page}", args=[world.cluster.pk])).content.decode()
    assert_strict(text)
    if page == "cluster-what-if":
        assert "restarted on host-2" in text
        assert "stays off" in text
    else:
        assert "demands another host" in text
    lucky.refresh_from_db()
    assert lucky.host_id == world.host.pk
