"""The page of backups, and what it does."""

from django.test import Client

from broker.backups.actions.back_up import back_up
from broker.backups.models import Backup
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done


def test_the_list_and_its_deeds(stage, target):
    vm = stage.make("web", start=True)
    done(back_up(actor=SYSTEM, vm=vm, target=target))
    backup = Backup.objects.get()
    browser = Client()
    browser.force_login(stage.world.root)
    page = browser.get("/manage/backups/")
    assert page.status_code == 200 and b"web" in page.content and b"first on this target" in page.content
    for verb in ("verify", "restore", "delete"):
        assert browser.post(f"/manage/backups/{backup.pk}/{verb}").status_code == 302
        run_all()
    assert not Backup.objects.exists()
    stranger = Client()
    stranger.force_login(stage.world.charlie)
    assert b"first on this target" not in stranger.get("/manage/backups/").content
