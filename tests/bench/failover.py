"""A host's power is cut: seconds until QEMU runs elsewhere, without power management, by the lease on storage alone.

    python -m tests.lab.cage -- python -m tests.bench.failover [--quick]

Three real libvirt hosts with their agents, and everything of the manager in this process (tests/virt/ha/failover.py).
What is configured: so many seconds of silence, and so many in which the lease is seen to stand still. The guest's QEMUs
are counted in the process table ten times a second. Prints a line; JSON where BENCH_JSON says.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BAR, MOST = 1.2, 90.0
RULES = {"detect_seconds": 10, "lease_seconds": 45}


def once(cluster: Any) -> float:
    """Seconds from the power cut until the machine's QEMU is on another host."""
    from tests.virt.ha.failover import Sampler

    vm = cluster.machine()
    sampler = Sampler(str(vm.pk))
    sampler.start()
    first = cluster.where(vm)
    began = time.monotonic()
    cluster.lab.hosts[first].crash()
    cluster.until(lambda: cluster.where(vm) not in ("", first), 2 * MOST)
    taken = time.monotonic() - began
    sampler.stop()
    assert cluster.verdicts(first)[-1] == "lease-over" and sampler.most == 1
    return taken


def measure() -> float:
    with tempfile.TemporaryDirectory(prefix="fail-", dir="/tmp") as base:
        Path(base).chmod(0o755)
        os.environ["BERTH_DATA_DIR"] = f"{base}/data"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
        import django

        django.setup()
        from django.core.management import call_command

        from broker.virt import hosts
        from tests.lab.lab import Lab
        from tests.virt.ha import failover

        call_command("migrate", verbosity=0)
        failover.RULES.update(RULES)
        with Lab(Path(base) / "lab", 3) as lab:
            agents = Path(base) / "agents"
            agents.mkdir()
            cluster = failover.Failover(lab, agents)
            try:
                cluster.begin()
                return once(cluster)
            finally:
                cluster.close()
                for host in cluster.rows.values():
                    hosts.forget(host)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter times are configured")
    if parser.parse_args().quick:
        RULES.update(detect_seconds=5, lease_seconds=10)
    taken, least = measure(), sum(RULES.values())
    line = {
        "what": f"Host killed until QEMU runs elsewhere; configured: {RULES['detect_seconds']} s of silence, "
        f"{RULES['lease_seconds']} s of lease",
        "ours": f"{taken:.1f} s", "baseline": f"configured {least} s", "value": f"{taken / least:.2f}",
        "bar": f"≤ {BAR:g}, ≤ {MOST:g} s", "met": taken <= BAR * least and taken <= MOST,
    }  # fmt: skip
    print(" | ".join(str(line[name]) for name in ("what", "ours", "baseline", "value", "bar", "met")))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"bars": [line]}, indent=1))
    return 0 if line["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
