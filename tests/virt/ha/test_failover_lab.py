"""Failover on real libvirt without power management: evidence alone decides, and no machine ever runs twice."""

import time

import pytest

from tests.virt.ha.failover import RULES, Failover, Sampler

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def cluster(transactional_db, lab_hosts, lab_base, tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    made = Failover(lab_hosts, tmp_path)
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.mark.timeout(280)
def test_a_dead_host_a_cut_one_and_one_without_storage(cluster):
    """Faults F18 (without fencing) and F19 of docs/faults.md."""
    vm = cluster.machine()
    sampler = Sampler(str(vm.pk))
    sampler.start()
    first = cluster.where(vm)
    cluster.lab.hosts[first].crash()
    took = cluster.until(lambda: cluster.where(vm) not in ("", first), 90)
    second = cluster.where(vm)
    print(f"killed on {first}, runs on {second} after {took:.1f} s; verdicts: {cluster.verdicts(first)}")
    assert cluster.verdicts(first)[-1] == "lease-over"

    # cut off from the manager, but alive: its lease is seen to be renewed, so nothing is started elsewhere
    cluster.until(lambda: not cluster.open_recoveries(), 30)
    cluster.lab.hosts[second].cut()
    cluster.until(lambda: cluster.verdicts(second)[-1:] == ["lease"], 60)
    held = time.monotonic()
    cluster.until(lambda: time.monotonic() - held > RULES["detect_seconds"], 60)
    assert cluster.verdicts(second)[-1] == "lease"
    assert (cluster.where(vm), sampler.now) == (second, 1)

    # now its storage takes nothing from it either: the agent stops the machine, and only then it is started elsewhere
    cluster.lose_leases(second)
    took = cluster.until(lambda: cluster.where(vm) not in ("", second), 90)
    print(f"lost by {second}, runs on {cluster.where(vm)} after {took:.1f} s; verdicts: {cluster.verdicts(second)}")
    assert cluster.verdicts(second)[-1] == "lease-over"
    assert not cluster.lab.hosts[second].qemu_pid(str(vm.pk))
    sampler.stop()
    assert sampler.most == 1 and sampler.samples > 100
