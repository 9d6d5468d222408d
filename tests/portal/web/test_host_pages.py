"""Enrolling a machine on its page and by the API, and what a host's page says of agent and certificate."""

from datetime import timedelta

from django.urls import reverse

from broker.core import clock
from broker.events.models import Event
from broker.virt.ha import signs
from broker.virt.models import (
    Host,
    HostAgent,
    HostCertificate,
    HostInvitation,
    StorageAttachment,
    VirtualMachine,
)

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


def test_the_page_of_a_host_tells_of_kvm_storages_neighbours_and_open_screens(site):
    host, client = site.world.host, site.client("root")
    page = reverse("portal:host", args=[host.pk])
    other = Host.objects.create(cluster=host.cluster, name="other", observed_at=clock.now())
    HostAgent.objects.bulk_create([HostAgent(host=one, secret="x") for one in (host, other)])
    Host.objects.filter(pk=host.pk).update(observed_at=clock.now(), emulated=True, emulated_reason="No /dev/kvm.")
    text = client.get(page).content.decode()
    assert "0 of 1 reached" in text and "16515" in text and "No /dev/kvm." in text and "0 seen" in text
    signs.note(other, "peer", clock.now(), by=host.name)
    StorageAttachment.objects.create(
        host=host, storage=site.world.storage, error="no route to nas", observed_at=clock.now()
    )
    VirtualMachine.objects.create(
        cluster=host.cluster, host=host, name="legacy", state="ready", power_state="running",
        consoles=[{"kind": "vnc", "unix": "", "host": "0.0.0.0", "port": 5907}],
    )  # fmt: skip
    text = client.get(page).content.decode()
    assert_strict(text)
    assert "1 of 1 reached" in text and "0 of 1 seen" in text and "disks: no route to nas" in text
    assert "open to the network, past Berth: legacy" in text
    vm = VirtualMachine.objects.get(name="legacy")
    assert "vnc 0.0.0.0:5907" in client.get(reverse("portal:vm", args=[vm.pk])).content.decode()
    VirtualMachine.objects.update(consoles=[{"kind": "vnc", "unix": "", "host": "127.0.0.1", "port": 5907}])
    assert "past Berth" not in client.get(page).content.decode()


def test_a_host_is_enrolled_anew_with_what_is_known_of_it(site):
    host, client = site.world.host, site.client("root")
    Host.objects.update(uri="qemu+tls://10.1.2.3/system")
    text = client.get(reverse("portal:host", args=[host.pk])).content.decode()
    link = next(
        part.partition('"')[0] for part in text.split('href="') if part.startswith(reverse("portal:host-invite"))
    )
    form = client.get(link.replace("&amp;", "&")).content.decode()
    assert f'value="{host.name}"' in form and 'value="10.1.2.3"' in form
