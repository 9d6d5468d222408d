"""The world of the portal's tests: a pool with desktops, machines of several kinds, a job and events."""

from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from broker.events.record import record
from broker.jobs.models import Job, Step
from broker.virt.models import Disk, Nic, Sample, VirtualMachine
from pools.models import Desktop, Pool
from tests.world import World


@dataclass
class Site:
    """`desktop` is held by Alice, `granted` is a machine of its own granted to Bob, `server` is nobody's."""

    world: World
    pool: Pool
    desktop: VirtualMachine
    free: VirtualMachine
    granted: VirtualMachine
    server: VirtualMachine
    job: Job

    def client(self, name: str) -> Client:
        """A browser in which `name` is signed in; "" for nobody."""
        client = Client()
        if name:
            client.force_login(getattr(self.world, name))
        return client

    def machine(self, name: str, *, power: str = "running", **values) -> VirtualMachine:
        """One more machine, as a row, with a disk, a card and readings."""
        world = self.world
        vm = VirtualMachine.objects.create(
            cluster=world.cluster, host=world.host, template_version=world.version, name=name, state="ready",
            power_state=power, observed_at=timezone.now(), boot_id="run-1" if power == "running" else "",
            guest={"os_name": "Debian", "addresses": ["192.0.2.7"]}, **values,
        )  # fmt: skip
        Disk.objects.create(vm=vm, storage=world.storage, volume=f"{name}.qcow2", size_bytes=1 << 30)
        number = VirtualMachine.objects.count()
        Nic.objects.create(vm=vm, network=world.network, mac=f"52:54:00:00:{number // 256:02x}:{number % 256:02x}")
        for _reading in range(2):
            Sample.objects.create(vm=vm, at=timezone.now(), cpu_percent=7)
        return vm

    def seat(self, name: str, number: int, *, holder=None, power: str = "running") -> VirtualMachine:
        """One more desktop of the pool."""
        vm = self.machine(name, power=power)
        state = "assigned" if holder else "free"
        Desktop.objects.create(
            vm=vm, pool=self.pool, number=number, state=state, holder=holder, held_since=timezone.now()
        )
        return vm


@pytest.fixture
def site(world, settings) -> Site:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return build(world)


def build(world: World) -> Site:
    pool = Pool.objects.create(
        name="desk", title="Desk pool", cluster=world.cluster, template=world.template, storage=world.storage,
        network=world.network, size=5, max_per_user=2,
    )  # fmt: skip
    site = Site(world, pool, None, None, None, None, None)
    world.grant(world.alice, "pool-user", pool)
    site.desktop = site.seat("desk-1", 1, holder=world.alice)
    site.free = site.seat("desk-2", 2)
    site.granted = site.machine("lab", power="off", title="Lab server")
    world.grant(world.bob, "vm-user", site.granted)
    site.server = site.machine("secret-server")
    site.job = Job.objects.create(
        plan="vm.start", title="Start a machine", subject_kind="vm", subject_id=site.server.pk,
        subject_name=site.server.name, actor_name="root", state="running", progress=40,
    )  # fmt: skip
    Step.objects.create(job=site.job, index=0, name="place", title="Choose a host", state="done")
    record(
        "vm.noted", actor=world.actor("root"), subject=site.server, message="Something happened to %(name)s", name="x"
    )
    return site
