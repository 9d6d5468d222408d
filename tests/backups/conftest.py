"""The stage of machines, with a place for backups."""

import pytest

from broker.backups.actions.create_target import create_target
from broker.virt.driver import StorageSpec
from tests.virt.actions.stage import SYSTEM, Stage


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


@pytest.fixture
def target(stage):
    path = f"{stage.world.storage.path}-backups"
    return create_target(actor=SYSTEM, cluster=stage.world.cluster, name="nas", path=path)


@pytest.fixture
def files(stage, target):
    """Calling it tells what lies on the target."""
    place = StorageSpec(name=f"berth-backup-{target.id.hex[:8]}", kind="dir", path=target.path)

    def look():
        stage.line.ensure_storage(place)
        return {volume.name for volume in stage.line.volumes(place)}

    return look
