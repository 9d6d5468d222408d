"""Left-over files: only what nothing at all refers to is found, and what is referred to by then is not removed."""

import pytest
from django.test import Client

from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.core.errors import Conflict, Invalid
from broker.jobs.runner import Runner
from broker.virt import hosts
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.models import StorageDomain
from tests.virt.actions.stage import SYSTEM, Stage, done, fresh


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


def look(stage, *remove):
    args = done(tidy_storage(actor=SYSTEM, storage=stage.world.storage, remove=remove)).args
    return [one["name"] for one in args["found"]], args["removed"]


def put(stage, name, backing=""):
    with stage.sim.changing() as data:
        volumes = data["storages"][stage.world.storage.path]["volumes"]
        volumes[name] = {"capacity": 1, "allocation": 1, "backing": backing}


def test_what_is_in_use_is_never_found(stage):
    vm = stage.make(start=True)
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one", memory=True))
    target = create_target(actor=SYSTEM, cluster=stage.world.cluster, name="nas", storage=stage.world.storage)
    done(back_up(actor=SYSTEM, vm=fresh(vm), target=target))
    foreign = stage.sim.add_foreign("theirs")
    stage.sim.edit(foreign, disks=[{"target": "vda", "path": f"{stage.world.storage.path}/foreign.qcow2"}])
    path = stage.world.storage.path
    for name, backing in (
        ("foreign.qcow2", ""), ("noted.qcow2", ""), ("base.qcow2", ""), ("over.qcow2", f"{path}/base.qcow2"),
    ):  # fmt: skip
        put(stage, name, backing)
    StorageDomain.objects.update(found={"machines": [{"disks": [{"row": {"volume": "noted.qcow2"}}]}]})
    before = stage.volumes()
    assert look(stage) == (["over.qcow2"], [])
    # the one below it is free only when nothing lies on it any more
    assert look(stage, "over.qcow2", "base.qcow2", "foreign.qcow2", vm.disks.get().volume) == ([], ["over.qcow2"])
    assert stage.volumes() == before - {"over.qcow2"}
    assert look(stage, "base.qcow2") == ([], ["base.qcow2"])
    browser = Client()
    browser.force_login(stage.world.root)
    put(stage, "late.qcow2")
    assert look(stage) == (["late.qcow2"], [])
    page = f"/manage/storage/{stage.world.storage.pk}/"
    assert b"late.qcow2" in browser.get(page).content
    assert browser.post(f"{page}left-over/look", {"remove": "late.qcow2"}).status_code == 302


def test_a_host_that_does_not_answer_and_bad_names_end_it(stage):
    stage.make()
    put(stage, "late.qcow2")
    with pytest.raises(Invalid):
        tidy_storage(actor=SYSTEM, storage=stage.world.storage, remove=["../../etc/passwd"])
    StorageDomain.objects.update(held_by="another")
    with pytest.raises(Conflict):
        tidy_storage(actor=SYSTEM, storage=StorageDomain.objects.get(), remove=[])
    StorageDomain.objects.update(held_by="")
    job = tidy_storage(actor=SYSTEM, storage=stage.world.storage, remove=["late.qcow2"])
    stage.sim.unplug()
    Runner().run(job.pk)
    stage.sim.plug()
    hosts.forget(stage.world.host)
    assert "late.qcow2" in stage.volumes()
