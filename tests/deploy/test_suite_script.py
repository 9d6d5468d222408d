"""deploy/test.sh with a stand-in for Python: every stage runs, and the end tells what failed."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "test.sh"
STAGES, IMAGES = 9, 2  # the fast lane, the images and those in the cage
PYTHON = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in *"$FAILS"*) echo "FAILED tests/one.py::test_one - $FAILS"; exit 1 ;; esac
echo passed
"""


@pytest.fixture(params=["1", "2"], ids=["one lane", "two lanes"])
def suite(request, tmp_path: Path):
    """`suite(fails)` runs the script; the stage whose command line contains `fails` fails."""
    for name, text in {
        "deploy/test.sh": SCRIPT.read_text(),
        "deploy/image/ensure": '#!/bin/sh\necho "image" >>"$CALLS"\n',
        ".venv/bin/python": PYTHON,
        "tools/sudo": '#!/bin/sh\n[ "${1#--}" = "$1" ] || shift\nexec "$@"\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    calls = tmp_path / "calls"

    def run(fails: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        path = f"{tmp_path / 'tools'}:{os.environ['PATH']}"
        env = os.environ | {"CALLS": str(calls), "FAILS": fails, "PATH": path, "TMPDIR": str(tmp_path)}
        env["TEST_LANES"] = request.param
        done = subprocess.run(
            [tmp_path / "deploy" / "test.sh", *arguments], env=env, capture_output=True, text=True, timeout=60
        )
        assert not list(tmp_path.glob("tmp.*")), "what the stages said was left behind"
        return done, calls.read_text().splitlines()

    return run


def test_all_stages_run_with_the_arguments(suite):
    done, calls = suite("nothing of the kind", "--maxfail=3")
    assert done.returncode == 0, done.stderr
    assert len(calls) == STAGES
    assert sum(call.endswith("--maxfail=3") for call in calls) == STAGES - IMAGES
    assert done.stdout.count("passed") == STAGES - IMAGES + 1  # and the last line
    assert done.stdout.endswith("All stages passed.\n")


@pytest.mark.parametrize(
    ("fails", "stage"),
    [
        ("-n 4", "fast lane"),
        ("-m lab tests/crash", "crash matrix"),
        ("--ignore=tests/virt/plans", "real hypervisors"),
        ("not postgres tests/virt/plans", "plans and what computes"),
        ("-m browser and not lab", "pages in the browser"),
        ("servers.postgres", "PostgreSQL and Redis"),
        ("-m lab and browser", "the main job, end to end"),
    ],
)
def test_a_failed_stage_is_told_at_the_end_and_the_others_still_run(suite, fails, stage):
    done, calls = suite(fails)
    assert done.returncode == 1
    assert len(calls) == STAGES
    assert done.stderr.splitlines() == [f"Failed: {stage}", f"FAILED tests/one.py::test_one - {fails}"]
    assert done.stdout.endswith(f"== {stage} failed; it ended with:\nFAILED tests/one.py::test_one - {fails}\n")
