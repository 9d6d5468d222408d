"""What quotas are tried on: machines and pools as rows; nothing of it is carried out."""

from broker.access.quota import GIB
from broker.virt.models import Disk, VirtualMachine
from pools.models import Desktop, Pool
from tests.world import World


class Scene:
    """Makes rows alone."""

    def __init__(self, world: World):
        self.world = world
        self.count = 0

    def machine(self, *, owner=None, power: str = "off", size: int = 10 * GIB, **values) -> VirtualMachine:
        self.count += 1
        world = self.world
        values = {"vcpus": 2, "memory_mib": 1024, **values}
        vm = VirtualMachine.objects.create(
            cluster=values.pop("cluster", world.cluster), host=world.host, template_version=world.version, owner=owner,
            name=f"machine-{self.count}", state="ready", power_state=power, **values,
        )  # fmt: skip
        Disk.objects.create(vm=vm, storage=world.storage, volume=f"{vm.name}.qcow2", size_bytes=size)
        return vm

    def pool(self, name: str = "desk", *, power: str = "running", size: int = 3, holder=None, **values) -> Pool:
        world = self.world
        pool = Pool.objects.create(
            name=name, title=name, cluster=world.cluster, template=world.template, storage=world.storage, size=size,
            max_per_user=values.pop("max_per_user", 5), **values,
        )  # fmt: skip
        for number in range(1, size + 1):
            Desktop.objects.create(
                vm=self.machine(power=power), pool=pool, number=number, state="assigned" if holder else "free",
                holder=holder,
            )  # fmt: skip
        world.grant(world.alice, "pool-user", pool)
        world.grant(world.staff, "pool-user", pool)
        return pool


def whose_quota(world: World, whose: str) -> dict:
    """The fields of a Quota that limits Bob in one of the possible ways."""
    return {
        "user": {"user": world.bob}, "group": {"group": world.staff}, "each": {"group": world.staff, "each": True},
        "cluster": {"cluster": world.cluster}, "user in cluster": {"user": world.bob, "cluster": world.cluster},
    }[whose]  # fmt: skip
