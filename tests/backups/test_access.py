"""Every action of backups: a stranger finds nothing, a reader is denied, the verb is enough."""

import importlib
import pkgutil

import pytest

from broker.access.models import Role
from broker.backups import actions
from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_schedule import create_schedule
from broker.backups.actions.create_target import create_target
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.delete_schedule import delete_schedule
from broker.backups.actions.delete_target import delete_target
from broker.backups.actions.edit_schedule import edit_schedule
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup
from broker.core.errors import Denied, Missing
from tests.virt.actions.stage import SYSTEM, done


@pytest.fixture
def calls(stage, target):
    vm = stage.make("web", start=True)
    job = done(back_up(actor=SYSTEM, vm=vm, target=target))
    backup = Backup.objects.get(pk=job.args["backup"])
    schedule = create_schedule(actor=SYSTEM, target=target, name="nightly")
    storage, cluster = stage.world.storage, stage.world.cluster
    return {
        "back_up": lambda actor: back_up(actor=actor, vm=vm, target=target),
        "verify_backup": lambda actor: verify_backup(actor=actor, backup=backup),
        "delete_backup": lambda actor: delete_backup(actor=actor, backup=backup),
        "restore_backup": lambda actor: restore_backup(actor=actor, backup=backup, vm=vm),
        "restore_as_new": lambda actor: restore_as_new(actor=actor, backup=backup, storage=storage, name="x"),
        "create_target": lambda actor: create_target(actor=actor, cluster=cluster, name="x", path="/srv/x"),
        "delete_target": lambda actor: delete_target(actor=actor, target=target),
        "create_schedule": lambda actor: create_schedule(actor=actor, target=target, name="x"),
        "edit_schedule": lambda actor: edit_schedule(actor=actor, schedule=schedule, name="x"),
        "delete_schedule": lambda actor: delete_schedule(actor=actor, schedule=schedule),
    }


def test_none_is_missing_here(calls):
    assert calls.keys() == {module.name for module in pkgutil.iter_modules(actions.__path__)}
    assert all(importlib.import_module(f"{actions.__name__}.{name}") for name in calls)


def test_strangers_and_readers(stage, calls):
    stage.world.grant(stage.world.alice, "auditor")
    for call in calls.values():
        with pytest.raises(Missing):
            call(stage.world.actor("charlie"))
        with pytest.raises(Denied):
            call(stage.world.actor("alice"))
    assert Backup.objects.get().state == "ready"


def test_the_verbs_are_enough(stage, calls):
    verbs = ["*.view", "vm.backup", "vm.edit", "vm.create", "backup.restore", "backup.manage"]
    Role.objects.create(name="exact", title="Exact", verbs=verbs)
    stage.world.grant(stage.world.bob, "exact", stage.world.cluster)
    stage.world.grant(stage.world.bob, "auditor")
    for name, call in calls.items():
        try:
            call(stage.world.actor("bob"))
        except (Denied, Missing):
            pytest.fail(f"the verbs do not open {name}")
        except Exception as error:
            assert error.status == 409, name  # past the door, another rule said no


def test_whose_machine_it_is(stage, calls):
    """A machine's owner backs it up and restores it, and deletes no backups."""
    vm = Backup.objects.get().vm
    stage.world.grant(stage.world.bob, "vm-manager", vm)
    with pytest.raises(Denied):
        calls["delete_backup"](stage.world.actor("bob"))
    calls["restore_backup"](stage.world.actor("bob"))
