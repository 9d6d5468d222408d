"""Simulations on the test's database: each is rolled back with its test."""

import pytest

from tests.simulator.sim import Sim


@pytest.fixture
def sim(db, settings):
    """Call it with a setup; see Sim."""
    made: list[Sim] = []

    def make(setup: str) -> Sim:
        made.append(Sim(setup))
        return made[-1]

    yield make
    for one in made:
        one.close()
