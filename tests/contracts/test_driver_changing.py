"""What every hypervisor driver must do with machines that are changed while they run."""

from dataclasses import replace

import pytest

from broker.virt.driver import Hardware, NetworkSpec, NicSpec, PowerState, Refused
from tests.contracts.test_driver_disks import booted

MAC, OTHER = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
ROOM = Hardware(max_vcpus=4, max_memory_mib=512)


@pytest.fixture
def lan(host):
    spec = NetworkSpec(
        name="lan", uuid="6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e11", kind="isolated", subnet="192.168.91.0/24"
    )
    host.ensure_network(spec)
    yield spec
    if host.alive():
        host.remove_network(spec.name)


@pytest.fixture
def roomy(host, spec, lan):
    made = replace(spec, hardware=ROOM, nics=(NicSpec(mac=MAC, network="lan"),))
    host.define(made)
    return made


def test_what_does_not_run_is_not_changed(host, roomy):
    for verb, given in (
        (host.running, ()), (host.plug_vcpus, (2,)), (host.plug_memory, (160,)), (host.set_balloon, (16,)),
        (host.attach_nic, (NicSpec(mac=OTHER, network="lan"),)), (host.detach_nic, (MAC,)),
        (host.change_nic, (NicSpec(mac=MAC, network="lan", connected=False),)),
    ):  # fmt: skip
        with pytest.raises(Refused):
            verb(roomy.uuid, *given)


def test_processors_memory_and_cards_are_plugged_in(host, roomy, lan):
    uuid = roomy.uuid
    booted(host, uuid)
    before = host.running(uuid)
    assert (before.vcpus, before.memory_mib, before.cards) == (1, 32, (MAC,))
    for _ in range(2):
        host.plug_vcpus(uuid, 3)
        host.plug_memory(uuid, 160)
        host.attach_nic(uuid, NicSpec(mac=OTHER, network="lan"))
        host.change_nic(uuid, NicSpec(mac=MAC, network="lan", connected=False))
    host.plug_vcpus(uuid, 1)
    host.plug_memory(uuid, 32)
    after = host.running(uuid)
    assert (after.vcpus, after.memory_mib, set(after.cards)) == (3, 160, {MAC, OTHER}), "nothing is taken"
    for verb, too_much in ((host.plug_vcpus, 5), (host.plug_memory, 1024), (host.plug_memory, 200)):
        with pytest.raises(Refused):
            verb(uuid, too_much)
    with pytest.raises(Refused):
        host.set_balloon(uuid, 1024)
    with pytest.raises(Refused):
        host.change_nic(uuid, NicSpec(mac="52:54:00:aa:00:03", network="lan"))
    assert host.detach_nic(uuid, "52:54:00:aa:00:03")
    # the definition is the broker's to write, and says what the run has
    host.define(replace(roomy, vcpus=3, memory_mib=160, nics=(*roomy.nics, NicSpec(mac=OTHER, network="lan"))))
    host.power_off(uuid)
    host.start(uuid)
    again = host.running(uuid)
    assert (again.vcpus, again.memory_mib, set(again.cards)) == (3, 160, {MAC, OTHER})


def test_one_run_boots_from_elsewhere_and_the_definition_stays(host, roomy):
    before = host.definition(roomy.uuid)
    for _ in range(2):
        host.start(roomy.uuid, boot="network-disk")
    assert host.observe_one(roomy.uuid).power is PowerState.RUNNING
    host.power_off(roomy.uuid)
    assert host.observe_one(roomy.uuid).power is PowerState.OFF
    assert host.definition(roomy.uuid).count("order=") == before.count("order=")


def test_a_network_is_changed_and_tells_no_lease_where_nobody_asked(host, roomy, lan):
    assert host.leases("lan") == host.leases("none") == ()
    for changed in (replace(lan, subnet="192.168.92.0/24"), replace(lan, mtu=9000), replace(lan, mtu=1400), lan):
        for _ in range(2):
            host.ensure_network(changed)
    with pytest.raises(Refused):
        host.ensure_network(replace(lan, kind="ovs", bridge="br0", subnet="", vlan=42))
