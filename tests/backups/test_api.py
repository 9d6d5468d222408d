"""Backups by the API: what a script does with them, and what is refused."""

import pytest

from broker.backups.models import Backup, BackupSchedule
from broker.virt.models import VirtualMachine
from tests.jobs_help import run_all
from tests.portal.api.conftest import caller  # noqa: F401 - a fixture


@pytest.fixture
def world(stage):
    """The cast that `caller` signs in is that of the stage."""
    return stage.world


def test_the_life_of_a_backup(stage, caller):  # noqa: F811
    root = caller("root")
    vm = stage.make("web", start=True)
    cluster, path = str(stage.world.cluster.pk), f"{stage.world.storage.path}-nas"
    target = root.post("backup-targets/", {"cluster": cluster, "name": "nas", "path": path}).json()
    made = root.post("backups/", {"vm": str(vm.pk), "target": target["id"]})
    assert made.status_code == 202, made.content
    run_all()
    (one,) = root.get("backups/", vm=str(vm.pk)).json()["results"]
    assert (one["state"], one["kind"], one["target"]["name"]) == ("ready", "full", "nas")
    assert len(one["disks"][0]["sha256"]) == 64
    assert root.post(f"backups/{one['id']}/verify/", {}).status_code == 202
    run_all()
    assert root.post(f"backups/{one['id']}/restore/", {"disks": ["vda"]}).status_code == 202
    run_all()
    wish = {"storage": str(stage.world.storage.pk), "name": "web-2"}
    assert root.post(f"backups/{one['id']}/restore-as-new/", wish).status_code == 202
    run_all()
    assert VirtualMachine.objects.get(name="web-2").state == "ready"
    assert root.delete(f"backup-targets/{target['id']}/").status_code == 409
    assert root.delete(f"backups/{one['id']}/").status_code == 202
    run_all()
    assert not Backup.objects.exists()
    assert root.delete(f"backup-targets/{target['id']}/").status_code == 204


def test_schedules(stage, target, caller):  # noqa: F811
    root, vm = caller("root"), stage.make("web")
    wish = {"target": str(target.pk), "name": "nightly", "vms": [str(vm.pk)], "at": "03:30", "zone": "Europe/Berlin"}
    made = root.post("backup-schedules/", wish)
    assert made.status_code == 201 and made.json()["next_run_at"], made.content
    pk = made.json()["id"]
    assert root.patch(f"backup-schedules/{pk}/", {"enabled": False, "vms": []}).json()["next_run_at"] is None
    assert root.delete(f"backup-schedules/{pk}/").status_code == 204
    assert not BackupSchedule.objects.exists()


@pytest.mark.parametrize("wrong", [{"at": "25:00"}, {"zone": "Mars"}, {"days": [9]}, {"vms": ["x"]}, {"full": 1}])
def test_what_makes_no_sense_is_a_400(target, caller, wrong):  # noqa: F811
    answer = caller("root").post("backup-schedules/", {"target": str(target.pk), "name": "n", **wrong})
    assert answer.status_code == 400 and "Traceback" not in answer.content.decode()
