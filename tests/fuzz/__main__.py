"""Fuzz each target in turn, in one process at a time at the lowest priority.

    python -m tests.fuzz [--minutes 10] [TARGET…]

What is found stops that target; the input lies in the directory that is named at the end, and belongs into
`test_targets.py` once it is mended. Nothing is kept of inputs that only reached new code: from the seeds they are found
again within a minute.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LONGEST = 16 * 1024
_MEMORY_MIB = 1024


def fuzz(name: str, options: list[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["broker.gateway", "broker.connections.recording.film"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: int, found: Path) -> bool:
    """Whether it went through without a finding."""
    from tests.fuzz.seeds import SEEDS

    with tempfile.TemporaryDirectory(prefix="berth-fuzz-") as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        command = [sys.executable, "-m", "tests.fuzz", "--one", name, "--", corpus,
                   f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-rss_limit_mb={_MEMORY_MIB}", "-timeout=10",
                   "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={found}/{name}-"]  # fmt: skip
        return subprocess.run(command, cwd=ROOT).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--one", default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.one:
        fuzz(options.one, options.names)
    from tests.fuzz.targets import TARGETS

    os.nice(19 - os.nice(0))
    names = options.names or list(TARGETS)
    found = Path(tempfile.mkdtemp(prefix="berth-findings-"))
    failed = [name for name in names if not run(name, max(1, int(options.minutes * 60 / len(names))), found)]
    if not failed:
        found.rmdir()
        print(f"{len(names)} targets, nothing found")
        return 0
    print(f"found something in {', '.join(failed)}: see {found}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
