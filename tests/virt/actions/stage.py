"""What tests of actions and plans play on: the cast over a simulated host of the test's own."""

from uuid import UUID, uuid4

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt import hosts, specs
from broker.virt.actions.create_vm import create_vm
from broker.virt.driver import HostConnection
from broker.virt.drivers.simulated import world as simulated
from broker.virt.models import VirtualMachine
from tests.jobs_help import run_all
from tests.world import World

SYSTEM = Actor.system("test")


class Stage:
    """`world` over a fresh simulated host (`sim`: its faults and delays); the template's image lies there."""

    def __init__(self) -> None:
        uri = f"sim://{uuid4().hex}"
        self.world = World.build(uri=uri, path=f"/sim/{uuid4().hex}")
        self.world.network.subnet = "192.168.77.0/24"
        self.world.network.save()
        self.sim = simulated(uri)
        line = self.line
        storage = specs.storage_spec(self.world.storage)
        line.ensure_storage(storage)
        line.create_volume(storage, self.world.version.volume, capacity=self.world.version.size_bytes)

    @property
    def line(self) -> HostConnection:
        return hosts.connection(self.world.host)

    def volumes(self) -> set[str]:
        """The names of the volumes beside the template's."""
        found = {volume.name for volume in self.line.volumes(specs.storage_spec(self.world.storage))}
        return found - {self.world.version.volume}

    def machines(self) -> dict[str, str]:
        """The machines on the host: name → power state."""
        return {one.name: one.power.value for one in self.line.observe()}

    def make(self, name: str = "desk-1", **wish) -> VirtualMachine:
        """A machine made to the end."""
        network = wish.pop("network", self.world.network)
        job = create_vm(actor=SYSTEM, name=name, version=self.world.version, network=network, **wish)
        run_all()
        done(job)
        return VirtualMachine.objects.get(pk=job.subject_id)


def ended(job: Job) -> Job:
    """The job after everything due was run."""
    run_all()
    job.refresh_from_db()
    return job


def done(job: Job) -> Job:
    """The job after everything due was run; it must have succeeded."""
    ended(job)
    assert job.state == "succeeded", f"{job.plan} {job.state}: {job.cause} {job.fix}"
    return job


def fresh(vm: VirtualMachine | UUID) -> VirtualMachine:
    """The row as it is now."""
    return VirtualMachine.objects.get(pk=getattr(vm, "pk", vm))
