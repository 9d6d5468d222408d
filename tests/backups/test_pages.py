"""The pages of backups, and what they do."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.backups.actions.back_up import back_up
from broker.backups.models import Backup, BackupSchedule, BackupTarget
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done


@pytest.fixture
def browser(stage):
    browser = Client()
    browser.force_login(stage.world.root)
    return browser


@pytest.fixture
def backup(stage, target):
    vm = stage.make("web", start=True)
    done(back_up(actor=SYSTEM, vm=vm, target=target))
    return Backup.objects.get()


def test_a_backup_is_made_verified_restored_and_deleted(stage, target, browser, backup):
    vm = backup.vm
    for name, pk in (("backups", None), ("backup", backup.pk), ("vm-backups", vm.pk)):
        page = browser.get(reverse(f"portal:{name}", args=[pk] if pk else []))
        assert page.status_code == 200 and b"web" in page.content and b"first on this target" in page.content
    asked = reverse("portal:backup-new", args=[vm.pk])
    assert browser.get(asked).status_code == 200
    assert browser.post(asked, {"target": target.pk, "full": "on"}).status_code == 302
    assert b"idle" in browser.get(reverse("portal:vm-backups", args=[vm.pk])).content  # the job is told
    run_all()
    assert Backup.objects.filter(kind="full", state="ready").count() == 2
    assert browser.post(f"/manage/backups/{backup.pk}/verify").status_code == 302
    run_all()
    restore = reverse("portal:backup-restore", args=[backup.pk])
    assert b"lost" in browser.get(restore).content
    assert browser.post(restore, {"disks": ["vda"]}).status_code == 400  # not sure
    assert browser.post(restore, {"disks": ["vdz"], "sure": "on"}).status_code == 400
    assert browser.post(restore, {"disks": ["vda"], "sure": "on"}).status_code == 302
    run_all()
    assert Job.objects.get(plan="backup.restore").state == "succeeded"
    new = reverse("portal:backup-restore-new", args=[backup.pk])
    assert browser.get(new).status_code == 200
    assert browser.post(new, {"name": "web-2", "storage": stage.world.storage.pk}).status_code == 302
    run_all()
    assert VirtualMachine.objects.get(name="web-2").state == "ready"
    assert browser.post(f"/manage/backups/{backup.pk}/delete").status_code == 302
    run_all()
    assert Backup.objects.count() == 1


def test_schedules_and_targets(stage, target, browser):
    vm = stage.make("web", start=True)
    wish = {"name": "nightly", "target": target.pk, "enabled": "on", "vms": [vm.pk], "days": [0, 3], "at": "03:30",
            "zone": "Europe/Berlin", "full_every": 7, "keep_last": 3, "keep_daily": 0, "keep_weekly": 0,
            "keep_monthly": 0}  # fmt: skip
    new = reverse("portal:backup-schedule-new")
    assert browser.get(new).status_code == 200
    assert browser.post(new, {**wish, "zone": "Mars"}).status_code == 400
    assert browser.post(new, wish).status_code == 302
    row = BackupSchedule.objects.get()
    assert row.days == [0, 3] and list(row.vms.all()) == [vm]
    edit = reverse("portal:backup-schedule-edit", args=[row.pk])
    assert b"nightly" in browser.get(edit).content
    assert browser.post(edit, {**wish, "name": "weekly", "days": [6]}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.days) == ("weekly", [6])
    setup = browser.get(reverse("portal:backup-setup")).content
    assert b"weekly" in setup and target.name.encode() in setup
    assert browser.post(reverse("portal:backup-schedule-run", args=[row.pk])).status_code == 302
    run_all()
    assert Backup.objects.get().schedule == row
    assert browser.post(reverse("portal:backup-schedule-delete", args=[row.pk])).status_code == 302
    assert not BackupSchedule.objects.exists()
    page = reverse("portal:backup-target-new")
    assert browser.get(page).status_code == 200
    made = {"name": "nas-2", "cluster": stage.world.cluster.pk, "path": "/srv/nas-2"}
    assert browser.post(page, made).status_code == 302
    two = BackupTarget.objects.get(name="nas-2")
    assert browser.post(reverse("portal:backup-target-delete", args=[two.pk])).status_code == 302
    assert browser.post(reverse("portal:backup-target-delete", args=[target.pk])).status_code in (302, 409)


def test_strangers_see_nothing_of_it(stage, browser, backup):
    stranger = Client()
    stranger.force_login(stage.world.charlie)
    assert b"first on this target" not in stranger.get("/manage/backups/").content
    for address in (
        reverse("portal:backup", args=[backup.pk]), reverse("portal:vm-backups", args=[backup.vm_id]),
        reverse("portal:backup-restore", args=[backup.pk]), reverse("portal:backup-restore-new", args=[backup.pk]),
        reverse("portal:backup-new", args=[backup.vm_id]),
    ):  # fmt: skip
        assert stranger.get(address).status_code == 404, address
    assert stranger.get(reverse("portal:backup-schedule-new")).status_code == 403
    assert browser.get("/admin/backups/backup/").status_code == 200
