"""Machines whose memory is in huge pages, on a real libvirt host: the kernel tells what they take and give back."""

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.explain import explain_start
from broker.virt.models import Host
from broker.virt.monitor import facts
from tests.virt.actions.stage import SYSTEM, done, fresh

from .test_lab import real as real

pytestmark = pytest.mark.lab
KEPT = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
FREE = KEPT.with_name("free_hugepages")
PAGES = 24  # 48 MiB


@pytest.fixture
def pages(lab_host):
    """So many pages of 2 MiB of this machine, for the host; given back afterwards."""
    before = int(KEPT.read_text()) if KEPT.exists() else 0
    inside = ["nsenter", "-t", str(lab_host.init_pid), "-m"]
    try:
        KEPT.write_text(str(before + PAGES))
    except OSError:
        pytest.skip("this machine has no huge pages of 2 MiB to give")
    try:
        if int(KEPT.read_text()) < before + PAGES:
            pytest.skip("this machine has too little memory in one piece for huge pages")
        subprocess.run([*inside, "mkdir", "-p", "/dev/hugepages"], check=True)
        subprocess.run([*inside, "mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", "/dev/hugepages"], check=True)
        lab_host.restart_daemon()
        yield int(FREE.read_text())
        subprocess.run([*inside, "umount", "/dev/hugepages"], check=True)
        lab_host.restart_daemon()
    finally:
        KEPT.write_text(str(before))


def test_its_memory_is_in_huge_pages(pages, real):
    facts.write(real.world.host, real.line.facts())
    host = Host.objects.get(pk=real.world.host.pk)
    assert host.nodes[0]["pages"] == [{"kib": 2048, "total": int(KEPT.read_text()), "free": pages}]
    vm = real.make("paged", memory_mib=32, options={"hugepages_kib": 2048}, start=True)
    assert int(FREE.read_text()) == pages - 16
    facts.write(host, real.line.facts())
    assert Host.objects.get(pk=host.pk).nodes[0]["pages"][0]["free"] == pages - 16
    root = etree.fromstring(real.line.definition(str(vm.pk)))
    assert root.find("memoryBacking/hugepages/page").attrib == {"size": "2048", "unit": "KiB"}
    edit_vm(actor=SYSTEM, vm=vm, options={"hugepages_kib": 0})
    assert fresh(vm).pending.values == {"hugepages_kib": 0} and int(FREE.read_text()) == pages - 16
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert int(FREE.read_text()) == pages
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert int(FREE.read_text()) == pages
    assert etree.fromstring(real.line.definition(str(vm.pk))).find("memoryBacking") is None
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), memory_mib=2 * (pages + 1), options={"hugepages_kib": 2048})
    facts.write(host, real.line.facts())
    (reason,) = explain_start(actor=SYSTEM, vm=fresh(vm)).refusal.reasons
    assert (reason.rule, reason.params["free"]) == ("huge_pages", pages)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
