"""A machine changed while it runs on a real libvirt host: what QEMU says of it, and what its next start brings."""

import json
import subprocess

import pytest
from lxml import etree

from broker.core.errors import Conflict
from broker.virt import pending
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.delete_nic import delete_nic
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.run_once import run_once
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Image, Nic
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done, fresh

from .test_lab import lab_up
from .test_lab import real as real

pytestmark = pytest.mark.lab


def qmp(lab_host, vm, command):
    asked = ["virsh", "--connect", lab_host.uri, "qemu-monitor-command", str(vm.pk), json.dumps({"execute": command})]
    return json.loads(subprocess.run(asked, capture_output=True, check=True, text=True).stdout)["return"]


def live(lab_host, vm):
    text = subprocess.run(
        ["virsh", "--connect", lab_host.uri, "dumpxml", str(vm.pk)], capture_output=True, check=True, text=True
    ).stdout
    return etree.fromstring(text)


def change(verb, **wish):
    made = verb(actor=SYSTEM, **wish)
    run_all()
    return made


def test_a_machine_grows_and_changes_its_cards_while_it_runs(real, lab_host):
    vm = real.make("grows", memory_mib=64, options={"max_vcpus": 4, "max_memory_mib": 512}, start=True)
    lab_up(real, vm)
    qemu = qmp(lab_host, vm, "query-status")
    assert qemu["running"] and len(qmp(lab_host, vm, "query-cpus-fast")) == 1
    guard = live(lab_host, vm).find("devices/interface/filterref")
    assert guard.get("filter") == "clean-traffic"
    rules = subprocess.run(["ebtables", "-t", "nat", "-L"], capture_output=True, check=True, text=True).stdout
    assert f"-s ! {vm.nics.get().mac} -j DROP" in rules.lower().replace("-j drop", "-j DROP")

    change(edit_vm, vm=fresh(vm), vcpus=3, memory_mib=192, options={"video": "vga", "balloon_mib": 32})
    assert len(qmp(lab_host, vm, "query-cpus-fast")) == 3
    assert qmp(lab_host, vm, "query-memory-size-summary") == {"base-memory": 64 << 20, "plugged-memory": 128 << 20}
    vm = fresh(vm)
    assert (vm.vcpus, vm.memory_mib) == (3, 192)
    waits = {one.field: one for one in pending.differences(vm, pending.of(vm))}
    assert set(waits) == {"video", "balloon_mib"}, "the guest of 512 bytes has no balloon driver, and no card changes"
    assert "does not follow" in waits["balloon_mib"].reason["message"]
    root = etree.fromstring(real.line.definition(str(vm.pk)))
    assert (root.find("vcpu").get("current"), root.find("vcpu").text) == ("3", "4")
    assert root.find("devices/video/model").get("type") != "vga"

    card = vm.nics.get()
    change(edit_nic, nic=card, connected=False, guard="off")
    other = change(create_nic, vm=fresh(vm), network=real.network, guard="mac")
    cards = {one.find("mac").get("address"): one for one in live(lab_host, vm).findall("devices/interface")}
    assert cards[card.mac].find("link").get("state") == "down" and cards[card.mac].find("filterref") is None
    assert cards[other.mac].find("filterref").get("filter") == "no-mac-spoofing"
    assert Nic.objects.get(pk=other.pk).plugged
    change(delete_nic, nic=Nic.objects.get(pk=other.pk), now=False)  # this guest lets nothing go
    assert pending.of_part(pending.of(vm), other) == {"gone": True}

    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    root = live(lab_host, vm)
    assert root.find("devices/video/model").get("type") == "vga"
    assert len(root.findall("devices/interface")) == 1
    assert etree.fromstring(real.line.definition(str(vm.pk))).findtext("currentMemory") == str(32 * 1024)
    assert pending.of(vm) is None and len(qmp(lab_host, vm, "query-cpus-fast")) == 3
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))

    volume = real.disks / "rescue.iso"
    volume.write_bytes(bytes(1 << 20))
    wish = {"kind": "iso", "storage": real.storage, "size_bytes": 1 << 20, "state": "ready", "volume": volume.name}
    cd = Image.objects.create(name="rescue", **wish)
    done(run_once(actor=SYSTEM, vm=fresh(vm), cd=cd))
    drive = next(one for one in live(lab_host, vm).findall("devices/disk") if one.get("device") == "cdrom")
    assert (drive.find("source").get("file"), drive.find("boot").get("order")) == (str(volume), "1")
    assert "rescue.iso" not in real.line.definition(str(vm.pk))
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    cd.delete()
    volume.unlink()
    done(run_once(actor=SYSTEM, vm=fresh(vm), boot="network-disk"))
    assert live(lab_host, vm).find("devices/interface/boot").get("order") == "1"
    assert etree.fromstring(real.line.definition(str(vm.pk))).find("devices/interface/boot") is None
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), name="renamed")
    copy = fresh(done(clone_vm(actor=SYSTEM, vm=fresh(vm), name="copy", seal=True, start=True)).subject_id)
    lab_up(real, copy)
    assert copy.nics.get().mac != vm.nics.get().mac
    for one in (copy, vm):
        done(delete_vm(actor=SYSTEM, vm=fresh(one)))
    assert real.files() == set()


def test_the_cards_of_a_cluster_with_ranges_have_addresses_of_them_on_the_host(real, lab_host):
    ranges = "02:00:00:00:0a:fe-02:00:00:00:0a:ff\n02:00:00:00:0b:00-02:00:00:00:0b:00"
    real.world.cluster = edit_cluster(actor=SYSTEM, cluster=real.world.cluster, mac_ranges=ranges)
    vm = real.make("ranged", start=True)
    lab_up(real, vm)
    create_nic(actor=SYSTEM, vm=fresh(vm), network=real.network)
    run_all()
    other = real.make("other")
    with pytest.raises(Conflict) as caught:
        create_nic(actor=SYSTEM, vm=fresh(other), network=real.network)
    assert caught.value.rule == "mac.free"
    seen = [
        card.find("mac").get("address")
        for machine in (vm, other)
        for card in live(lab_host, machine).findall("devices/interface")
    ]
    assert sorted(seen) == ["02:00:00:00:0a:fe", "02:00:00:00:0a:ff", "02:00:00:00:0b:00"]
    for machine in (vm, other):
        if fresh(machine).power_state == "running":
            done(power_off_vm(actor=SYSTEM, vm=fresh(machine)))
        done(delete_vm(actor=SYSTEM, vm=fresh(machine)))


@pytest.fixture
def bridge():
    subprocess.run(["ip", "link", "add", "br-own", "type", "bridge"], check=True)
    yield "br-own"
    subprocess.run(["ip", "link", "del", "br-own"], check=True)


def test_a_card_on_a_bridge_of_the_host_is_changed_and_changes_its_network_while_it_runs(real, lab_host, bridge):
    """What libvirt says of such a card in a run is not what it takes as its change."""
    joined = create_network(actor=SYSTEM, cluster=real.world.cluster, name="joined", kind="bridge", bridge=bridge)
    vm = real.make("joined", start=True)
    card = vm.nics.get()

    def seen():
        found = live(lab_host, vm).find("devices/interface")
        return found.find("source").get("network"), found.find("link") is None

    assert seen() == (real.network.host_name, True)
    for network, connected in ((joined, True), (joined, False), (joined, True), (real.network, True)):
        card = change(edit_nic, nic=card, network=network, connected=connected)
        assert pending.of(fresh(vm)) is None, [one.reason for one in pending.differences(vm, pending.of(vm))]
        assert seen() == (network.host_name, connected)
        card = Nic.objects.get(pk=card.pk)
        masters = subprocess.run(["ip", "-br", "link", "show", "master", bridge], capture_output=True, text=True)
        assert ("vnet" in masters.stdout) is (network == joined)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    real.line.remove_network(joined.host_name)
