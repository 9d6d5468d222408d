"""The pages of high availability: devices, verdicts, settings, and what would be done now."""

import pytest
from django.urls import reverse

from broker.core import clock
from broker.core.tables import complete
from broker.virt.ha.rules import SETTINGS
from broker.virt.models import FenceDevice, Host, HostHealth, Verdict

from .test_pages import assert_strict

HTMX = {"HX-Request": "true"}


@pytest.fixture
def host(site):
    Host.objects.filter(pk=site.world.host.pk).update(observed_at=clock.now())
    return site.world.host


def test_a_device_from_its_form_to_its_end(site, host):
    client, page = site.client("root"), reverse("portal:host-availability", args=[host.pk])
    form = reverse("portal:fence-device-new", args=[host.pk])
    assert_strict(client.get(form).content.decode())
    wish = {
        "agent": "fence_redfish",
        "address": "192.0.2.8",
        "username": "x",
        "password": "hidden-1",
        "options": "plug=3",
    }
    assert client.post(form, wish | {"options": "nonsense"}).status_code == 400
    assert client.post(form, wish | {"options": "action=off"}).status_code == 400
    assert client.post(form, wish).url == page
    text = client.get(page).content.decode()
    assert_strict(text)
    assert "fence_redfish" in text and "plug=3" in text and "hidden-1" not in text
    device = FenceDevice.objects.get()
    assert client.post(reverse("portal:fence-device-delete", args=[device.pk]), headers=HTMX).status_code == 204
    assert not FenceDevice.objects.exists()
    assert site.client("charlie").get(page).status_code == 404


def test_verdicts_are_shown_with_their_evidence(site, host):
    Verdict.objects.create(
        host=host, decision="hold", rule="quiet", message="another host was fenced less than %(seconds)s seconds ago",
        params={"seconds": "180"}, evidence=[{"source": "lease", "ago": 12.3, "by": "", "detail": ""}],
    )  # fmt: skip
    text = site.client("root").get(reverse("portal:host-availability", args=[host.pk])).content.decode()
    assert_strict(text)
    assert "less than 180 seconds" in text and "storage lease 12" in text


def test_confirming_and_fencing_are_refused_with_a_reason(site, host):
    client = site.client("root")
    assert client.post(reverse("portal:host-fence", args=[host.pk]), headers=HTMX).status_code == 409
    confirm = reverse("portal:host-confirm-rebooted", args=[host.pk])
    assert client.post(confirm, headers=HTMX).status_code == 409
    HostHealth.objects.create(host=host, silent_since=clock.now())
    assert client.post(confirm, headers=HTMX).status_code == 204
    assert HostHealth.objects.get(host=host).confirmed_at is not None


def test_settings_and_the_rehearsal_of_a_cluster(site, host):
    client, cluster = site.client("root"), site.world.cluster
    form = reverse("portal:cluster-ha", args=[cluster.pk])
    assert_strict(client.get(form).content.decode())
    values = complete(SETTINGS, {}) | {"when_dead": "rehearse", "detect_seconds": 30}
    values = {name: value for name, value in values.items() if value is not False}
    assert client.post(form, values).status_code == 302
    cluster.refresh_from_db()
    assert (cluster.ha["when_dead"], cluster.ha["detect_seconds"]) == ("rehearse", 30)
    page = client.get(reverse("portal:cluster-availability", args=[cluster.pk])).content.decode()
    assert_strict(page)
    assert "it answers" in page
    assert not HostHealth.objects.exists()
