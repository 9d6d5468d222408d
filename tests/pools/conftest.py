"""A pool over the simulated driver, and the short ways to let Berth work on it."""

from contextlib import suppress

import pytest

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.virt.models import VirtualMachine
from pools.actions.create_pool import create_pool
from pools.models import Desktop, Pool
from pools.reconcile import reconcile_pool
from tests.jobs_help import run_all

SYSTEM = Actor.system("test")


def settle(pool: Pool, *, rounds: int = 40) -> None:
    """Look at the pool and do its jobs, until there is nothing left to do."""
    for _ in range(rounds):
        plan = reconcile_pool(pool.pk)
        run_all()
        if plan.restful and reconcile_pool(pool.pk).restful:
            return
    raise AssertionError(f"the pool does not come to rest: {plan}")


def states(pool: Pool) -> dict[str, int]:
    """How many desktops there are in each state."""
    counts: dict[str, int] = {}
    for state in Desktop.objects.filter(pool=pool).values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts


def running(pool: Pool, **filters) -> int:
    return VirtualMachine.objects.filter(desktop__pool=pool, power_state="running", **filters).count()


def free_rows(pool: Pool, world, count: int, *, power: str = "running") -> None:
    """Desktops as rows alone, for what does not touch a hypervisor."""
    vms = [
        VirtualMachine(
            cluster=world.cluster, host=world.host, template_version=world.version, name=f"{pool.name}-{number}",
            state="ready", power_state=power,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    VirtualMachine.objects.bulk_create(vms)
    Desktop.objects.bulk_create(
        Desktop(vm=vm, pool=pool, number=number, state="free") for number, vm in enumerate(vms, start=1)
    )


@pytest.fixture
def hypervisor(world):
    """The simulated host of the world, empty, with the template's image on its storage."""
    from broker.virt import hosts, specs

    host = hosts.connection(world.host)
    for seen in host.observe():
        with suppress(BerthError):
            host.power_off(seen.uuid)
            host.undefine(seen.uuid)
    storage = specs.storage_spec(world.storage)
    host.ensure_storage(storage)
    if host.volume(storage, world.version.volume) is None:
        host.create_volume(storage, world.version.volume, capacity=world.version.size_bytes)
    return host


@pytest.fixture
def make_pool(world, hypervisor):
    """`make_pool(size=…, …)`: a pool of the world's template that staff (Bob) may use, and Alice too."""

    def make(name: str = "desk", **values) -> Pool:
        values = {"template": world.template, "storage": world.storage, "network": world.network, **values}
        pool = create_pool(actor=SYSTEM, name=name, **values)
        world.grant(world.alice, "pool-user", pool)
        world.grant(world.staff, "pool-user", pool)
        return pool

    return make
