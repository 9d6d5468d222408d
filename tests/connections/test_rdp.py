"""The file for a Windows desktop's own remote desktop: who gets it, where it leads, what is in it."""

import pytest
from django.urls import reverse

from broker.connections.actions import set_console_policy
from broker.connections.models import Session
from broker.connections.policy import policy_of
from broker.connections.rdp import address_of, offered, rdp_file
from broker.core.errors import Conflict, Missing
from broker.directories.models import User
from broker.events.models import Event
from broker.virt.models import Network, Nic

pytestmark = pytest.mark.django_db


@pytest.fixture
def windows(setting):
    setting.vm.guest = {"agent": True, "addresses": ["169.254.1.1", "fe80::1", "192.0.2.44"]}
    setting.vm.save()
    set_console_policy(actor=setting.world.actor("root"), obj=setting.vm, rdp=True)
    return setting


def lines_of(file: bytes) -> dict[str, str]:
    assert file.endswith(b"\r\n")
    return dict(
        line.rsplit(":", 1) if ":s:" not in line else line.split(":s:", 1) for line in file.decode().split("\r\n")[:-1]
    )


def test_it_leads_to_the_desktop_itself_without_a_password(windows):
    lines = lines_of(rdp_file(windows.actor(), windows.vm))
    assert lines["full address"] == "192.0.2.44:3389"
    assert lines["username"] == "alice"
    assert lines["authentication level:i"] == "2" and lines["prompt for credentials:i"] == "1"
    assert lines["gatewayhostname"] == "" and lines["gatewayusagemethod:i"] == "0"
    assert lines["redirectclipboard:i"] == "1" and lines["drivestoredirect"] == "*"
    assert not [name for name in lines if "password" in name]
    session = Session.objects.get()
    assert (session.via, session.kind, session.state) == ("viewer", "rdp", "open")
    assert Event.objects.get(kind="session.opened").message.startswith("alice got a file to open desk-1 by RDP")
    rdp_file(windows.actor(), windows.vm)
    assert Session.objects.count() == 1


def test_the_policy_and_the_users_domain_are_in_it(windows):
    root = windows.world.actor("root")
    set_console_policy(actor=root, obj=windows.vm, clipboard="in", files=False, usb=False)
    directory = windows.world.alice.directory
    directory.config = {"flavour": "ad", "user_base": "OU=Staff,DC=corp,DC=example"}
    directory.save()
    lines = lines_of(rdp_file(windows.actor(), windows.vm, full_screen=True))
    assert (lines["redirectclipboard:i"], lines["drivestoredirect"], lines["usbdevicestoredirect"]) == ("0", "", "")
    assert lines["username"] == "alice@corp.example"
    assert (lines["screen mode id:i"], lines["use multimon:i"]) == ("2", "1")


def test_a_name_cannot_add_lines(windows):
    User.objects.filter(pk=windows.world.alice.pk).update(username="zoë\r\nfull address:s:evil.example")
    actor = windows.world.actor("zoë\r\nfull address:s:evil.example")
    text = rdp_file(actor, windows.vm).decode("utf-16")
    assert text.count("full address:s:192.0.2.44") == 1
    assert "username:s:zoëfull address:s:evil.example\r\n" in text


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda s: set_console_policy(actor=s.world.actor("root"), obj=s.vm, rdp=False), "console.rdp"),
        (lambda s: set_console_policy(actor=s.world.actor("root"), obj=s.vm, record=True), "console.rdp"),
        (lambda s: setattr(s.vm, "guest", {"addresses": ["127.0.0.1", "fe80::1", "x"]}), "console.address"),
        (lambda s: setattr(s.vm, "power_state", "off"), "power.running"),
    ],
    ids=["not offered", "recorded", "no address", "off"],
)
def test_where_there_is_none(windows, change, rule):
    change(windows)
    with pytest.raises(Conflict) as info:
        rdp_file(windows.actor(), windows.vm)
    assert info.value.rule == rule and info.value.fix
    assert not offered(windows.vm, policy_of(windows.vm))
    assert not Session.objects.exists()


def test_a_stranger_finds_no_machine(windows):
    with pytest.raises(Missing):
        rdp_file(windows.actor("charlie"), windows.vm)


def test_without_an_agent_the_lease_tells(windows):
    windows.vm.guest = {}
    network = Network.objects.create(cluster=windows.world.cluster, name="lan")
    Nic.objects.create(vm=windows.vm, network=network, mac="52:54:00:00:00:01", leased="192.0.2.99")
    assert address_of(windows.vm) == "192.0.2.99"


def test_all_ways_and_what_they_need_are_said_before_the_click(windows, client, settings):
    settings.ORIGINS = ["http://vdi.example:8000"]
    parts = {"usb": 2, "smartcard": True, "clipboard": True, "files": True}
    windows.vm.consoles = [{"kind": "spice", "unix": "/run/spice.sock", "parts": parts}]
    windows.vm.options = {"heads": 2}
    windows.vm.save()
    client.force_login(windows.world.alice)
    page = client.get(reverse("portal:console-ways", args=[windows.vm.pk])).content.decode()
    for word in ("192.0.2.44", "direct network route", "does not go through Berth", "Remmina", "Windows App", "UsbDk",
                 "share_usb", "full_screen", "up to 2 monitors"):  # fmt: skip
        assert word in page, word
    assert 'name="smartcard"' not in page
    answer = client.post(reverse("portal:console-rdp", args=[windows.vm.pk]), {"full_screen": "on"})
    assert answer["Content-Type"] == "application/x-rdp" and b"screen mode id:i:2" in answer.content
    chosen = {"options": "1", "full_screen": "on", "share_usb": "on"}
    file = client.post(reverse("portal:console-file", args=[windows.vm.pk]), chosen).content.decode()
    for line in ("fullscreen=1", "enable-usb-autoshare=1", "enable-usbredir=1", "enable-smartcard=0"):
        assert line in file, line
    set_console_policy(actor=windows.world.actor("root"), obj=windows.vm, rdp=False, usb=False, smartcard=True)
    page = client.get(reverse("portal:console-ways", args=[windows.vm.pk])).content.decode()
    assert "192.0.2.44" not in page and "share_usb" not in page and 'name="smartcard"' in page
    file = client.post(reverse("portal:console-file", args=[windows.vm.pk]), chosen).content.decode()
    for line in ("enable-usb-autoshare=0", "enable-usbredir=0"):
        assert line in file, line
    client.force_login(windows.world.charlie)
    assert client.get(reverse("portal:console-ways", args=[windows.vm.pk])).status_code == 404
