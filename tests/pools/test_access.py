"""Every action of pools against a stranger, a user of the pool and a reader. An action without a case fails."""

import importlib
import pkgutil
from datetime import timedelta

import pytest

from broker.core import clock
from broker.core.errors import Denied, Missing
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import PhysicalMachine
from pools import actions
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.entitle import entitle
from pools.models import Booking, Desktop, MetaPool, Pool

from .conftest import SYSTEM, free_rows

ACTIONS = {
    module.name: getattr(importlib.import_module(f"{actions.__name__}.{module.name}"), module.name)
    for module in pkgutil.iter_modules(actions.__path__)
}
DAY = timedelta(days=1)
TOMORROW = {"start": clock.now() + DAY, "end": clock.now() + DAY + timedelta(hours=1)}
# The arguments beside the actor, given the world, a pool and a free desktop of it.
CASES = {
    "add_physical_machine": lambda world, pool, desktop: {"pool": pool, "pc": PhysicalMachine(vm=desktop.vm)},
    "allocate": lambda world, pool, desktop: {"pool": pool},
    "allocate_meta": lambda world, pool, desktop: {"meta": MetaPool.objects.get()},
    "assign": lambda world, pool, desktop: {"desktop": desktop, "user": world.charlie},
    "block_time": lambda world, pool, desktop: {"pool": pool, **TOMORROW},
    "book": lambda world, pool, desktop: {"pool": pool, **TOMORROW},
    "cancel_booking": lambda world, pool, desktop: {"booking": Booking.objects.get()},
    "create_meta_pool": lambda world, pool, desktop: {"name": "x", "pools": [pool]},
    "create_pool": lambda world, pool, desktop: {"name": "x", "template": world.template, "storage": world.storage},
    "delete_meta_pool": lambda world, pool, desktop: {"meta": MetaPool.objects.get()},
    "delete_pool": lambda world, pool, desktop: {"pool": pool},
    "disentitle": lambda world, pool, desktop: {"pool": pool, "user": world.alice},
    "edit_meta_pool": lambda world, pool, desktop: {"meta": MetaPool.objects.get(), "title": "x"},
    "edit_pool": lambda world, pool, desktop: {"pool": pool, "title": "x"},
    "entitle": lambda world, pool, desktop: {"pool": pool, "user": world.charlie},
    "extend_session": lambda world, pool, desktop: {"desktop": desktop},
    "join_queue": lambda world, pool, desktop: {"pool": pool},
    "leave_meta_queue": lambda world, pool, desktop: {"meta": MetaPool.objects.get()},
    "leave_queue": lambda world, pool, desktop: {"pool": pool},
    "mend_desktop": lambda world, pool, desktop: {"desktop": desktop},
    "move_booking": lambda world, pool, desktop: {"booking": Booking.objects.get(), **TOMORROW},
    "pace_rollout": lambda world, pool, desktop: {"pool": pool, "at_once": 3},
    "release": lambda world, pool, desktop: {"desktop": desktop},
    "reset_desktop": lambda world, pool, desktop: {"desktop": desktop},
    "resume_rollout": lambda world, pool, desktop: {"pool": pool},
    "retire_desktop": lambda world, pool, desktop: {"desktop": desktop},
    "set_booking_rules": lambda world, pool, desktop: {"pool": pool, "booked": True},
    "set_goal": lambda world, pool, desktop: {"pool": pool, "seconds": 30},
    "set_session_rules": lambda world, pool, desktop: {"pool": pool, "leave": "lock"},
    "roll_back": lambda world, pool, desktop: {"pool": pool},
    "stop_rollout": lambda world, pool, desktop: {"pool": pool},
    "update_desktop": lambda world, pool, desktop: {"desktop": desktop},
}
USING = {"allocate", "allocate_meta", "book", "join_queue", "leave_meta_queue", "leave_queue"}


def test_every_action_has_a_case():
    assert CASES.keys() == ACTIONS.keys()


@pytest.fixture
def scene(world, make_pool):
    pool = make_pool(size=1)
    free_rows(pool, world, 1)
    meta = create_meta_pool(actor=SYSTEM, name="office", pools=[pool])
    entitle(actor=SYSTEM, pool=meta, user=world.alice)
    Booking.objects.create(pool=pool, user=world.root, start=clock.now() + 2 * DAY, end=clock.now() + 3 * DAY)
    return world, pool, Desktop.objects.get(pool=pool)


def everything():
    return (
        Job.objects.count(),
        Event.objects.count(),
        list(Pool.objects.values()),
        list(Desktop.objects.values()),
        list(MetaPool.objects.values()),
        list(Booking.objects.values()),
    )


def ask(scene, name: str, who: str):
    return ACTIONS[name](actor=scene[0].actor(who), **CASES[name](*scene))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_stranger_finds_nothing(scene, name):
    before = everything()
    with pytest.raises(Missing):
        ask(scene, name, "charlie")
    assert everything() == before


@pytest.mark.parametrize("name", sorted(CASES.keys() - USING))
def test_who_may_only_use_the_pool_does_not_manage_it(scene, name):
    before = everything()
    with pytest.raises(Missing if name == "create_pool" else Denied):  # the cluster is nothing alice sees
        ask(scene, name, "alice")
    assert everything() == before


@pytest.mark.parametrize("name", sorted(CASES))
def test_who_may_only_look_is_denied(scene, name):
    world = scene[0]
    world.grant(world.charlie, "auditor")
    before = everything()
    with pytest.raises(Denied):
        ask(scene, name, "charlie")
    assert everything() == before
