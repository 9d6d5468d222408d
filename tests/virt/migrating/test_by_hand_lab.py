"""A machine that `virsh migrate` moved is followed on real libvirt, and what it left behind goes."""

import subprocess
from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import following, hosts
from broker.virt.actions.create_vm import create_vm
from broker.virt.driver import PowerState
from broker.virt.drivers.libvirt import clipboard
from broker.virt.models import Host, VirtualMachine
from broker.virt.observe import apply
from tests.jobs_help import finish
from tests.lab import guest
from tests.virt.actions.stage import SYSTEM
from tests.world import World

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("way", [["--persistent"], ["--persistent", "--undefinesource"]])
def test_virsh_migrate(lab_hosts, settings, way):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    first, second, _ = lab_hosts.hosts.values()
    world = World.build(driver="libvirt", uri=first.tcp_uri, path=str(lab_hosts.shared))
    guest.write_image(lab_hosts.shared / world.version.volume, image_format="qcow2")
    type(world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
    world.version.refresh_from_db()
    other = Host.objects.create(cluster=world.cluster, name="second", driver="libvirt", uri=second.tcp_uri)
    job = create_vm(actor=SYSTEM, name="web", version=world.version, start=True)
    finish(job)
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    line = hosts.connection(world.host)
    with line.calling():
        clipboard.unplug(line.domain(str(vm.pk)))  # QEMU 7.2 moves no machine that has it
    moved = subprocess.run(
        ["virsh", "-c", first.uri, "migrate", "--live", "--p2p", "--unsafe", *way, str(vm.pk), second.tcp_uri,
         f"tcp://{second.address}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert moved.returncode == 0, moved.stderr
    Job.objects.update(finished_at=clock.now() - timedelta(minutes=1))
    for _ in range(3):
        for host in (world.host, other):
            asked = clock.now()
            apply(host, hosts.connection(host).observe(), full_pass=True, at=asked)
        following.follow()
    vm.refresh_from_db()
    assert (vm.host, vm.power_state) == (other, PowerState.RUNNING)
    assert hosts.connection(world.host).observe_one(str(vm.pk)).power is PowerState.MISSING
    assert Event.objects.filter(kind="vm.changed-outside.moved", subject_id=vm.pk).count() == 1
    for host in (world.host, other):
        hosts.forget(host)
