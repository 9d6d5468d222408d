"""The stage, as a fixture."""

import pytest

from tests.virt.actions.stage import Stage


@pytest.fixture
def stage(db, settings):
    # the cast's passwords matter to nobody here, and Argon2 takes a second for them
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()
