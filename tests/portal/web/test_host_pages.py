"""Enrolling a machine on its page and by the API, and what a host's page says of agent and certificate."""

from datetime import timedelta

from django.urls import reverse

from broker.core import clock
from broker.events.models import Event
from broker.virt.models import HostAgent, HostCertificate, HostInvitation

from .test_pages import assert_strict


def test_the_code_is_shown_once_and_nowhere_else(site):
    client, page = site.client("root"), reverse("portal:host-invite")
    assert_strict(client.get(page).content.decode())
    wish = {"cluster": str(site.world.cluster.pk), "name": "h-9", "address": "h-9.example.org"}
    assert client.post(page, wish | {"address": "a b"}).status_code == 400
    answer = client.post(page, wish)
    text = answer.content.decode()
    assert_strict(text)
    code = text.partition('id="code">')[2].partition("<")[0]
    assert len(code) == 35 and answer["Cache-Control"] == "no-store"
    command = text.partition('id="command">')[2].partition("<")[0]
    assert code not in command and "sha256sum -c" in command and str(HostInvitation.objects.get().pk) in command
    assert code not in str(Event.objects.values()) and code not in str(HostInvitation.objects.values())
    assert reverse("portal:host-invite") in client.get(reverse("portal:hosts")).content.decode()
    assert site.client("charlie").get(page).status_code in (403, 404)


def test_the_api_tells_it_once_too(site):
    wish = {"cluster": str(site.world.cluster.pk), "name": "h-9", "address": "10.9.9.9"}
    answer = site.client("root").post("/api/v1/hosts/invite/", wish, content_type="application/json")
    assert answer.status_code == 201 and answer["Cache-Control"] == "no-store"
    assert set(answer.json()) == {"id", "code", "command", "until"}
    charlie = site.client("charlie").post("/api/v1/hosts/invite/", wish, content_type="application/json")
    assert charlie.status_code == 404


def test_the_page_of_a_host_tells_of_agent_leases_and_certificate(site):
    host, client = site.world.host, site.client("root")
    page = reverse("portal:host", args=[host.pk])
    HostCertificate.objects.create(host=host, certificate="x", until=clock.now() + timedelta(days=5))
    agent = HostAgent.objects.create(host=host, secret="x")
    assert "not heard of yet" in client.get(page).content.decode()
    agent.seen_at, agent.told = clock.now(), {
        "own": {"a": "held", "b": "lost"}, "checks": {"qemu": [False, "5.2"], "tpm": [True, ""], "gone": [True, ""]},
    }  # fmt: skip
    agent.save()
    text = client.get(page).content.decode()
    assert_strict(text)
    for words in (
        "reports",
        "1 of 2 held",
        "5.2",
        "Install qemu-system-x86",
        f"{clock.now() + timedelta(days=5):%Y-%m-%d}",
    ):
        assert words in text
    agent.seen_at, agent.told = clock.now() - timedelta(hours=1), {"own": {"a": "lost"}, "late": ["a"]}
    agent.save()
    text = client.get(page).content.decode()
    assert "silent" in text and "its machines there were stopped" in text
