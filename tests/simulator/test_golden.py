"""Scenarios with the whole of their logs: faults, verdicts, what was switched, where machines ran and when.

They stand in tests/data/simulator/scenarios.txt, one a line: name | setup | commands with their times. The logs beside
them are written anew by `BERTH_WRITE_GOLDEN=1 pytest tests/simulator/test_golden.py` and then read, not believed.
"""

import os
from pathlib import Path

import pytest

from tests.simulator.many import Many
from tests.simulator.test_scenarios import SCENARIOS

FOLDER = Path(__file__).parents[1] / "data" / "simulator"
GOLDEN = FOLDER / "logs.txt"
UNTIL = 160.0


def read_scenarios() -> dict[str, tuple[str, tuple[tuple[float, str], ...]]]:
    found = {}
    for line in (FOLDER / "scenarios.txt").read_text().splitlines():
        name, setup, commands = (part.strip() for part in line.split(" | "))
        timed = (one.split(None, 1) for one in commands.split(", "))
        found[name] = (setup, tuple((float(at), command) for at, command in timed))
    return found


def read_logs() -> dict[str, list[str]]:
    logs: dict[str, list[str]] = {}
    for line in GOLDEN.read_text().splitlines() if GOLDEN.exists() else []:
        if line.startswith("# "):
            logs[line[2:]] = lines = []
        else:
            lines.append(line)
    return logs


def in_order(log: list[str]) -> list[str]:
    """What happened in one step happened at once: in which order its lines were written means nothing."""
    return sorted(log, key=lambda line: (float(line.split(None, 1)[0]), line))


@pytest.fixture
def logs(db):
    """What happened in each scenario; all of them ran under one clock."""
    many = Many(read_scenarios())
    try:
        many.run_until(UNTIL)
        found = {name: [*in_order(sim.log), f"  end {sim.ends()}"] for name, sim in many.sims.items()}
    finally:
        many.close()
    if os.environ.get("BERTH_WRITE_GOLDEN"):
        GOLDEN.write_text("".join("\n".join([f"# {name}", *lines]) + "\n" for name, lines in found.items()))
    return found


def test_all_is_as_it_was(logs):
    golden = read_logs()
    other = [name for name in logs if logs[name] != golden.get(name)]
    shown = "\n".join("\n".join([f"# {name}", *logs[name]]) for name in other[:3])
    assert not other, f"{len(other)} are other than before: {other}\n{shown}"


def test_there_are_enough_of_them():
    assert len(read_scenarios()) + len(SCENARIOS) >= 150 and set(read_scenarios()) == set(read_logs())
