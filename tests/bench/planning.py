"""Where 500 machines of dead hosts are restarted: 100 hosts, 5,000 machines, affinity groups, memory kept free.

    python -m tests.bench.planning [--quick]

Planning alone, as the duty of high availability and the page "If a host failed" do it; pure, so nothing else is needed.
Prints a line; JSON where BENCH_JSON says.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from broker.virt.placement.picture import Picture
from broker.virt.placement.policy import Policy
from broker.virt.placement.recover import what_if
from tests.virt.placement.table import group, host, key, machine

HOSTS, EACH, DEAD = 100, 50, 10
BAR = 2.0
GROUPED = 40  # machines in groups of two that must be apart


def cluster() -> Picture:
    """Hosts with a third of their memory free; every machine is highly available."""
    hosts = [host(f"h{n:03} 256/{80 + n % 7} m{EACH} l{20 + n % 50} c32") for n in range(HOSTS)]
    machines = [machine(f"m{n:04}@h{n % HOSTS:03} 4 ha p{n % 100}") for n in range(HOSTS * EACH)]
    groups = [group(f"apart m{n:04} m{n + 1:04}") for n in range(0, GROUPED, 2)]
    return Picture(Policy(policy="evenly_distributed", reserve_hosts=1), hosts, machines, groups)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round instead of five")
    rounds = 1 if parser.parse_args().quick else 5
    picture, dead = cluster(), [key(f"h{n:03}") for n in range(DEAD)]
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        outcome = what_if(picture, dead)
        taken.append(time.perf_counter() - began)
    placed = len(outcome.restarts)
    assert placed == DEAD * EACH, f"{placed} of {DEAD * EACH} found a host"
    best = min(taken)
    line = {
        "what": f"Planning where {placed} machines of {DEAD} dead hosts go; {HOSTS} hosts, {HOSTS * EACH:,} machines",
        "ours": f"{best:.2f} s ({best / placed * 1000:.1f} ms each)", "baseline": "", "value": f"{best:.2f} s",
        "bar": f"≤ {BAR:g} s", "met": best <= BAR,
    }  # fmt: skip
    print(" | ".join(str(line[name]) for name in ("what", "ours", "bar", "met")))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"bars": [line]}))
    return 0 if line["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
