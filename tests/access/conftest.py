"""The scene of quotas."""

import pytest

from .scene import Scene


@pytest.fixture
def scene(world):
    return Scene(world)
