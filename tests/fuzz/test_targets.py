"""The fuzzer's targets on good inputs, on their beginnings, and on what it found once."""

import pytest

from .seeds import SEEDS
from .targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_beginnings(name):
    assert SEEDS[name], "a target without a seed finds nothing"
    for seed in SEEDS[name]:
        for length in range(len(seed) + 1):
            TARGETS[name](seed[:length])
        TARGETS[name](seed * 3)
