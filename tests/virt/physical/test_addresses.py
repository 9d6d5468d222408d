"""An administrator types where a PC is: no such address may be a door into what is not a PC."""

import ipaddress

import pytest

from broker.core.errors import Invalid
from broker.virt.models import Host
from broker.virt.physical import addresses, rules

pytestmark = pytest.mark.django_db


NEVER = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1",
    "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "100.64.0.1", "2001:4860:4860::8888"]


@pytest.mark.parametrize("address", NEVER + PUBLIC)
def test_what_is_no_pc_is_refused(address):
    with pytest.raises(Invalid) as refusal:
        addresses.allowed([address])
    assert refusal.value.field == "address"


@pytest.mark.parametrize("address", NEVER + PUBLIC)
def test_even_where_everything_is_allowed_only_the_public_ones_are(settings, address):
    settings.PHYSICAL_NETWORKS = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    if address in PUBLIC:
        assert addresses.allowed([address]) == address
    else:
        with pytest.raises(Invalid):
            addresses.allowed([address])


@pytest.mark.parametrize("address", ["10.3.4.5", "172.31.255.1", "192.168.0.9", "fd12::9", "::ffff:10.0.0.9"])
def test_a_private_address_is_a_pcs_unless_other_networks_are_named(settings, address):
    assert addresses.allowed([address])
    settings.PHYSICAL_NETWORKS = [ipaddress.ip_network("203.0.113.0/24")]
    with pytest.raises(Invalid):
        addresses.allowed([address])
    assert addresses.allowed(["203.0.113.7"]) == "203.0.113.7"


def test_one_bad_address_of_a_name_is_enough():
    with pytest.raises(Invalid):
        addresses.allowed(["10.0.0.5", "127.0.0.1"])


def test_the_hosts_are_no_pcs(world):
    Host.objects.filter(pk=world.host.pk).update(address="10.9.9.9", uri="qemu+tls://10.9.9.8/system")
    for address in ("10.9.9.9", "10.9.9.8", "::ffff:10.9.9.9"):
        with pytest.raises(Invalid):
            addresses.allowed([address])
    assert addresses.places_of_hosts() == {"10.9.9.9", "10.9.9.8"}


def test_this_computer_is_no_pc(monkeypatch):
    monkeypatch.setattr(addresses, "_is_here", lambda address: str(address) == "10.0.0.7")
    with pytest.raises(Invalid):
        addresses.allowed(["10.0.0.7"])
    assert addresses.allowed(["10.0.0.8"])


def test_it_is_told_by_binding_to_it():
    assert addresses._is_here(ipaddress.ip_address("127.0.0.1"))
    assert not addresses._is_here(ipaddress.ip_address("203.0.113.77"))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"address": "127.0.0.1"}, "address"),
        ({"address": "pc one"}, "address"),
        ({"address": "http://pc1/"}, "address"),
        ({"address": "-oProxy"}, "address"),
        ({"address": ""}, "address"),
        ({"mac": "01:00:5e:00:00:01"}, "mac"),
        ({"mac": "52:54:00"}, "mac"),
        ({"broadcast": "127.255.255.255"}, "broadcast"),
        ({"broadcast": "8.8.8.255"}, "broadcast"),
        ({"broadcast": "everybody"}, "broadcast"),
        ({"vnc_port": 22}, "vnc_port"),
        ({"rdp_port": 25}, "rdp_port"),
        ({"vnc_port": 65536}, "vnc_port"),
        ({"vnc_port": -1}, "vnc_port"),
        ({"vnc_port": True}, "vnc_port"),
        ({"probe_port": 25}, "probe_port"),
        ({"vnc_password": "ninechars"}, "vnc_password"),
        ({"vnc_password": "pä"}, "vnc_password"),
        ({"vnc_password": "a\n"}, "vnc_password"),
    ],
)
def test_nonsense_names_its_field(values, field):
    with pytest.raises(Invalid) as refusal:
        rules.checked(values)
    assert refusal.value.field == field


def test_good_values_are_kept_as_they_are_meant():
    kept = rules.checked(
        {
            "address": "PC-1.Example.org", "mac": "52-54-00-AA-BB-01", "broadcast": "192.168.7.255", "vnc_port": 5900,
            "rdp_port": 0, "probe_port": 445, "vnc_password": "secret",
        }
    )  # fmt: skip
    assert kept.pop("vnc_secret") not in ("", "secret")
    assert kept == {
        "address": "pc-1.example.org", "mac": "52:54:00:aa:bb:01", "broadcast": "192.168.7.255", "vnc_port": 5900,
        "rdp_port": None, "probe_port": 445,
    }  # fmt: skip
