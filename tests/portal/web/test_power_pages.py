"""Switching hosts off to save power, on the pages, by the API and in the back office."""

from datetime import timedelta

import pytest
from django.urls import reverse

from broker.core import clock
from broker.jobs.models import Job
from broker.virt.models import FenceDevice, Host

from .test_pages import assert_strict

HTMX = {"HX-Request": "true"}


@pytest.fixture
def host(site):
    Host.objects.filter(pk=site.world.host.pk).update(observed_at=clock.now())
    FenceDevice.objects.create(host=site.world.host, agent="fence_redfish", address="192.0.2.8")
    return site.world.host


def shown(site, host) -> str:
    text = site.client("root").get(reverse("portal:host", args=[host.pk])).content.decode()
    assert_strict(text)
    return text


def to_sleep(host) -> None:
    Host.objects.filter(pk=host.pk).update(state="asleep", asleep_at=clock.now(), error="no route to host")


def test_it_is_allowed_on_the_form_and_the_page_tells_what_holds_it(site, host):
    client, form = site.client("root"), reverse("portal:host-edit", args=[host.pk])
    assert "allowed" not in shown(site, host)
    wish = {"name": host.name, "uri": host.uri, "host_key": "", "may_sleep": "on"}
    assert client.post(form, wish).status_code == 302
    assert Host.objects.get(pk=host.pk).may_sleep
    assert "its cluster does not do it" in shown(site, host)
    rules = {"rules": {"policy": "power_saving", "host_power_management": True, "hosts_in_reserve": 2}}
    cluster = f"/api/v1/clusters/{host.cluster_id}/"
    answer = client.patch(cluster, rules, content_type="application/json")
    assert answer.status_code == 200 and answer.json()["rules"]["hosts_in_reserve"] == 2
    assert client.patch(cluster, {"rules": {"hosts_in_reserve": 9}}, content_type="application/json").status_code == 400
    Host.objects.filter(pk=host.pk).update(empty_since=clock.now() - timedelta(minutes=3, seconds=1))
    assert "allowed; " in shown(site, host)
    del wish["may_sleep"]
    assert client.post(form, wish).status_code == 302
    assert not Host.objects.get(pk=host.pk).may_sleep
    FenceDevice.objects.all().delete()
    assert client.post(form, wish | {"may_sleep": "on"}).status_code == 400


def test_a_sleeping_host_is_no_trouble_and_is_woken_from_its_page(site, host):
    to_sleep(host)
    text, wake = shown(site, host), reverse("portal:host-deed", args=[host.pk, "wake"])
    assert "Asleep" in text and wake in text and "no route to host" not in text
    client = site.client("root")
    assert "no route to host" not in client.get(reverse("portal:hosts")).content.decode()
    assert "no route to host" not in client.get(reverse("portal:dashboard")).content.decode()
    assert site.client("charlie").post(wake, headers=HTMX).status_code == 404
    assert client.post(wake, headers=HTMX).status_code in (200, 204)
    assert Job.objects.get(plan="host.wake").subject_id == host.pk


def test_by_the_api(site, host):
    path, client = f"/api/v1/hosts/{host.pk}/", site.client("root")
    answer = client.patch(path, {"may_sleep": True}, content_type="application/json")
    assert answer.status_code == 200 and answer.json()["may_sleep"] is True
    assert client.patch(path, {"may_sleep": "yes"}, content_type="application/json").status_code == 400
    assert client.post(f"{path}wake/", content_type="application/json").json()["rule"] == "power.asleep"
    to_sleep(host)
    assert client.get(path).json()["status"] == "asleep"
    assert client.get("/api/v1/hosts/?state=asleep").json()["count"] == 1
    assert client.post(f"{path}wake/", content_type="application/json").status_code == 202
    assert client.post(f"{path}wake/", content_type="application/json").status_code == 409


def test_in_the_back_office(site, host):
    root = site.client("root")
    to_sleep(host)
    text = root.get("/admin/virt/host/").content.decode()
    assert "asleep" in text
    root.post(f"/admin/virt/host/{host.pk}/wake/")
    assert Job.objects.filter(plan="host.wake", subject_id=host.pk).exists()
