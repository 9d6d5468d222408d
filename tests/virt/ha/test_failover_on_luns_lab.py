"""Failover of a machine on a LUN of a real target: nothing locks a LUN, so the hosts' leases there are all that is."""

import subprocess
from pathlib import Path

import pytest

from broker.virt import hosts, specs
from broker.virt.actions.create_storage import create_storage
from broker.virt.models import HostSign, StorageDomain, VirtualMachine
from broker.virt.states import StorageState
from tests.lab import guest
from tests.lab.target import Target
from tests.virt.actions.stage import SYSTEM
from tests.virt.ha.failover import Failover, Sampler

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def target(lab_hosts, tmp_path):
    with Target(tmp_path, f"{lab_hosts.subnet}.1", luns=(16, 24), user="berth", password="twelve-chars-x") as target:
        yield target


@pytest.fixture
def cluster(transactional_db, lab_hosts, lab_base, target, tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    made = Failover(lab_hosts, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(280)
def test_a_dead_host_and_one_cut_off_from_everything(cluster, target):
    """Faults F18 and F19 of docs/faults.md on LUNs, and what the cut host's kernel still had to send."""
    cluster.world.version.refresh_from_db()
    image = cluster.lab.shared / cluster.world.version.volume
    guest.write_image(image, image_format="qcow2", period=1)  # it writes all the time
    san = create_storage(
        actor=SYSTEM, cluster=cluster.world.cluster, name="san", kind="iscsi", server=target.portal,
        export=target.name, user=target.user, password=target.password,
    )  # fmt: skip
    cluster.until(lambda: all(row_seen(row) for row in cluster.rows.values()), 30)
    for row in cluster.rows.values():
        hosts.connection(row).ensure_storage(specs.storage_spec(san))
    cluster.begin()
    vm = cluster.machine(san)
    # leases on the directory would be renewed through the cut: it needs no network here
    StorageDomain.objects.exclude(pk=san.pk).update(state=StorageState.MAINTENANCE)
    cluster.until(lambda: leases(cluster) == {str(san.pk)}, 30)
    sampler = Sampler(str(vm.pk))
    sampler.start()
    cluster.until(lambda: boots(cluster, vm) == 1, 60)

    first = cluster.where(vm)
    cluster.lab.hosts[first].crash()
    took = cluster.until(lambda: cluster.where(vm) not in ("", first), 90)
    second = cluster.where(vm)
    print(f"killed on {first}, runs on {second} after {took:.1f} s; verdicts: {cluster.verdicts(first)}")
    assert cluster.verdicts(first)[-1] == "lease-over"
    cluster.until(lambda: not cluster.open_recoveries() and boots(cluster, vm) == 2, 60)

    cluster.lab.hosts[second].cut()
    cluster.until(lambda: not cluster.where(vm), 30)  # its agent ended it
    cluster.until(lambda: not unsent_of_the_dead(cluster.lab.hosts[second].init_pid, target), 5)
    took = cluster.until(lambda: cluster.where(vm) not in ("", second), 90)
    print(f"cut off on {second}, runs on {cluster.where(vm)} after {took:.1f} s; verdicts: {cluster.verdicts(second)}")
    assert cluster.verdicts(second)[-1] == "lease-over"
    third = cluster.where(vm)
    cluster.until(lambda: not cluster.open_recoveries() and boots(cluster, vm) == 3, 60)

    cluster.lab.hosts[second].heal()
    cluster.until(lambda: cluster.verdicts(second)[-1] == "alive", 60)
    sampler.stop()
    assert sampler.most == 1 and sampler.samples > 100
    assert cluster.where(vm) == third
    row = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    hosts.connection(row.host).power_off(str(vm.pk))
    cluster.until(lambda: not cluster.where(vm), 30)
    image = fetched(cluster, vm)
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(image)], check=True)
    assert guest.counters(image).boots == 3


def boots(cluster: Failover, vm: VirtualMachine) -> int:
    """How often the guest says, on the LUN, that it booted."""
    return guest.counters(fetched(cluster, vm)).boots


def fetched(cluster: Failover, vm: VirtualMachine) -> Path:
    row = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    disk, got = row.disks.get(), cluster.base / "got.qcow2"
    hosts.connection(row.host).fetch_volume(specs.storage_spec(disk.storage), disk.volume, got)
    return got


def row_seen(row) -> bool:
    return type(row).objects.filter(pk=row.pk, observed_at__isnull=False).exists()


def leases(cluster: Failover) -> set[str]:
    """The storages on which leases of all hosts are seen."""
    seen: dict[str, int] = {}
    for by in HostSign.objects.filter(source="lease").values_list("by", flat=True):
        seen[by] = seen.get(by, 0) + 1
    return {by for by, count in seen.items() if count == len(cluster.rows)}


def unsent_of_the_dead(process: int, target: Target) -> int:
    """The lines to the target in a host's network that nobody has open, and whose kernel still tries to send."""
    port = int(target.portal.rpartition(":")[2])
    found = 0
    for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        to, unsent, owner = words[2].partition(":")[2], words[4].partition(":")[0], words[9]
        found += int(to, 16) == port and owner == "0" and int(unsent, 16) > 0
    return found
