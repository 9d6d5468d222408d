"""Pinned machines on real libvirt hosts: the kernel says where their threads may run, also after a live migration."""

import json
import subprocess
from pathlib import Path

import pytest
from lxml import etree

from broker.core.errors import NoCapacity
from broker.virt import hosts
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.run_once import run_once
from broker.virt.actions.start_vm import start_vm
from broker.virt.explain import explain_start
from broker.virt.models import Host
from broker.virt.monitor import facts
from tests.jobs_help import run_all
from tests.lab import guest
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.world import World

from .test_lab import real as real

pytestmark = pytest.mark.lab


def virsh(uri, *words) -> str:
    return subprocess.run(["virsh", "-c", uri, *words], capture_output=True, text=True, check=True, timeout=60).stdout


def allowed(pid) -> dict[str, str]:
    """Of each thread of a QEMU process that runs a processor of its guest, and of its first one, where it may run."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("CPU ") or task.name == str(pid):
            lines = (task / "status").read_text().splitlines()
            said = next(line.split()[1] for line in lines if line.startswith("Cpus_allowed_list"))
            found["emulator" if task.name == str(pid) else name] = said
    return found


def test_its_threads_run_where_they_are_pinned(real, lab_host):
    facts.write(real.world.host, real.line.facts())
    real.world.host.refresh_from_db()
    assert real.world.host.nodes[0]["cpus"] == Path("/sys/devices/system/node/node0/cpulist").read_text().strip()
    options = {"cpu_pinning": "1#0_0#1", "emulator_cpus": "0"}
    vm = real.make("pinned", vcpus=2, memory_mib=32, options=options, start=True)
    assert vm.options["cpu_pinning"] == "0#1_1#0"
    told = virsh(lab_host.uri, "vcpupin", str(vm.pk)).split()
    assert told[-4:] == ["0", "1", "1", "0"]
    assert allowed(lab_host.qemu_pid(str(vm.pk))) == {"CPU 0/TCG": "1", "CPU 1/TCG": "0", "emulator": "0"}
    edit_vm(actor=SYSTEM, vm=vm, options={"cpu_pinning": "", "emulator_cpus": ""})
    assert "cputune" in virsh(lab_host.uri, "dumpxml", str(vm.pk))  # waits for the next start
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert etree.fromstring(virsh(lab_host.uri, "dumpxml", str(vm.pk))).find("cputune") is None
    assert set(allowed(lab_host.qemu_pid(str(vm.pk))).values()) == {"0-1"}
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"cpu_pinning": "0#4000"})
    (reason,) = explain_start(actor=SYSTEM, vm=fresh(vm)).refusal.reasons
    assert (reason.rule, reason.params["missing"]) == ("pinning", "4000")
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def test_its_guest_sees_nodes_and_its_memory_comes_from_one_of_the_host(real, lab_host):
    options = {
        "cpu_pinning": "0#0_1#1", "numa_nodes": 2, "numa_mode": "strict", "numa_host_nodes": "0", "max_memory_mib": 999,
    }  # fmt: skip
    vm = real.make("nodes", vcpus=2, memory_mib=65, options=options, start=True)
    pid = lab_host.qemu_pid(str(vm.pk))
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    backends = [json.loads(word) for word in words if '"ram-node' in word]
    assert [(one["id"], one["size"] >> 20, one["host-nodes"], one["policy"]) for one in backends] == [
        ("ram-node0", 33, [0], "bind"), ("ram-node1", 32, [0], "bind"),
    ]  # fmt: skip
    numa = [word.replace("=", ",").split(",") for word in words if word.startswith("node,nodeid=")]
    assert [(one[2], one[4], one[6]) for one in numa] == [("0", "0", "ram-node0"), ("1", "1", "ram-node1")]
    assert allowed(pid) == {"CPU 0/TCG": "0", "CPU 1/TCG": "1", "emulator": "0-1"}
    assert "bind:0" in Path(f"/proc/{pid}/numa_maps").read_text()
    root = etree.fromstring(virsh(lab_host.uri, "dumpxml", str(vm.pk)))
    assert [(one.get("cpus"), one.get("memory")) for one in root.findall("cpu/numa/cell")] == [
        ("0", str(33 << 10)), ("1", str(32 << 10)),
    ]  # fmt: skip
    assert root.find("numatune/memory").attrib == {"mode": "strict", "nodeset": "0"}
    edit_vm(actor=SYSTEM, vm=fresh(vm), memory_mib=65 + 128)  # while it runs
    run_all()
    assert fresh(vm).memory_mib == 193
    for memory, cells in ((193, ["97", "96"]), (64, ["32", "32"])):
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        edit_vm(actor=SYSTEM, vm=fresh(vm), memory_mib=memory)
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        root = etree.fromstring(virsh(lab_host.uri, "dumpxml", str(vm.pk)))
        assert [str(int(one.get("memory")) >> 10) for one in root.findall("cpu/numa/cell")] == cells
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    none = {"numa_nodes": 0, "numa_mode": "none", "numa_host_nodes": "", "max_memory_mib": 0, "cpu_pinning": ""}
    edit_vm(actor=SYSTEM, vm=fresh(vm), options=none)
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    root = etree.fromstring(virsh(lab_host.uri, "dumpxml", str(vm.pk)))
    assert [root.find(tag) for tag in ("cpu/numa", "numatune", "cputune", "maxMemory")] == [None] * 4
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def test_live_it_goes_only_where_its_processors_are(lab_hosts, settings, db):
    """The rows say what a host has; the kernel of both is the same here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    first, second, _ = lab_hosts.hosts.values()
    world = World.build(driver="libvirt", uri=first.tcp_uri, path=str(lab_hosts.shared))
    guest.write_image(lab_hosts.shared / world.version.volume, image_format="qcow2")
    type(world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
    world.version.refresh_from_db()
    other = Host.objects.create(cluster=world.cluster, name="second", driver="libvirt", uri=second.tcp_uri)
    for host in (world.host, other):
        facts.write(host, hosts.connection(host).facts())
    options = {"cpu_pinning": "0#1", "emulator_cpus": "0"}
    job = done(create_vm(actor=SYSTEM, name="web", version=world.version, options=options))
    vm = fresh(job.subject_id)
    done(run_once(actor=SYSTEM, vm=vm, host=world.host))
    whole = list(Host.objects.get(pk=other.pk).nodes)
    Host.objects.filter(pk=other.pk).update(nodes=[whole[0] | {"cpus": "0"}])
    with pytest.raises(NoCapacity) as refusal:
        migrate_vm(actor=SYSTEM, vm=fresh(vm), host=other)
    assert [one.rule for one in refusal.value.reasons if one.subject == "second"] == ["pinning"]
    Host.objects.filter(pk=other.pk).update(nodes=whole)
    done(migrate_vm(actor=SYSTEM, vm=fresh(vm), host=other))
    assert fresh(vm).host == other
    assert allowed(second.qemu_pid(str(vm.pk))) == {"CPU 0/TCG": "1", "emulator": "0"}
    for way in ([], ["--inactive"]):
        tune = etree.fromstring(virsh(second.uri, "dumpxml", *way, str(vm.pk))).find("cputune")
        assert [(pin.tag, pin.get("cpuset")) for pin in tune] == [("vcpupin", "1"), ("emulatorpin", "0")]
    for host in (world.host, other):
        hosts.forget(host)
