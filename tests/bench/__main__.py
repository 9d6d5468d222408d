"""All benches, one after another, and one table of what they found.

    python -m tests.lab.cage -- python -m tests.bench [--quick] [--write] [--only NAME …]

Each bench is a process of its own with a time limit; none runs beside another. Exits with 1 when a bar is missed or
a bench fails. `--write` also writes docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.report import Line, lines_of, page, table
from tests.lab import cage

ROOT = Path(__file__).resolve().parents[2]
ALL_SECONDS = 1800.0
# name → seconds it may take
BENCHES = {
    "idle": 150, "page": 120, "live": 60, "clones": 90, "allocation": 150, "lists": 240, "gateway": 150,
    "history": 90, "directory": 90, "storm": 420, "servers": 300, "planning": 60, "hosts": 300,
    "consoles": 120, "spice": 180, "real_pictures": 120, "reset": 120, "migration": 180, "failover": 240,
}  # fmt: skip
HAVE_NO_QUICK = {"live"}


def run(name: str, scratch: Path, *, quick: bool, left: float) -> tuple[list[Line], str]:
    """The lines of one bench, and why there are none; what it prints goes to stderr. `left`: seconds for all."""
    limit = min(BENCHES[name], max(int(left), 1))
    target = scratch / f"{name}.json"
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    if quick and name not in HAVE_NO_QUICK:
        command.append("--quick")
    environment = {**os.environ, "BENCH_JSON": str(target)}
    began = time.monotonic()
    print(f"== {name}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=sys.stderr, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return [], f"{name} was not done after {limit} s"
    if not target.exists():
        return [], f"{name} failed with {done.returncode}"
    print(f"== {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return lines_of(name, json.loads(target.read_text())), ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that they run, not to believe")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHES), default=list(BENCHES), help="some of them")
    options = parser.parse_args()
    if not cage.inside():
        print("The benches start hypervisors: python -m tests.lab.cage -- python -m tests.bench", file=sys.stderr)
        return 2
    lines, failures, loads = [], [], [os.getloadavg()[0]]
    end = time.monotonic() + ALL_SECONDS
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for name in options.only:
            found, failure = run(name, Path(scratch), quick=options.quick, left=end - time.monotonic())
            lines += found
            failures += [failure] if failure else []
            loads.append(os.getloadavg()[0])
    print(table(lines))
    for failure in failures:
        print(f"\n{failure}")
    if options.write:
        text = page(lines, failures, when=datetime.now(UTC), load=max(loads))
        (ROOT / "docs" / "benchmarks.md").write_text(text)
    return 0 if not failures and all(line["met"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
