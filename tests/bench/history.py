"""History of load of 1,000 machines at a row a minute, with the table of a whole day there: CPU, and the table's size.

Ours is all that a minute costs the monitor and the worker: six passes noted, the minute written, a fifth of a roll-up
(which comes every five minutes). The baseline writes the same rows by a bare executemany of an upsert.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MACHINES, PASSES, ROLL_UPS_A_MINUTE = 1000, 6, 1 / 5
BAR_PERCENT = 5.0


def measure(folder: str, rounds: int) -> dict[str, Any]:
    os.environ |= {"BERTH_DATA_DIR": folder, "BERTH_DATABASE_URL": "", "BERTH_LISTEN": "127.0.0.1:80"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "broker.settings"
    import django

    django.setup()
    from django.core.management import call_command

    from broker.core import clock
    from broker.virt.history import Reading
    from broker.virt.loads import rollup
    from broker.virt.loads.book import Book
    from broker.virt.models import MachineLoad, VirtualMachine
    from broker.virt.models.load import Span
    from tests.world import World

    call_command("migrate", verbosity=0)
    world = World.build()
    machines = VirtualMachine.objects.bulk_create(
        VirtualMachine(name=f"m{number}", cluster=world.cluster, host=world.host, state="ready")
        for number in range(MACHINES)
    )
    now = datetime(2026, 6, 1, 12, 59, tzinfo=UTC)
    clock.now = lambda: now  # type: ignore[assignment]
    _fill(now)
    rollup.roll_up()
    minutes = MachineLoad.objects.filter(span=Span.MINUTE)
    before = minutes.count()
    book, ours = Book(world.host.pk), {vm.pk for vm in machines}
    spent: dict[str, list[float]] = {"ours": [], "roll_up": [], "bare": []}
    for number in range(rounds):
        now += timedelta(minutes=1)
        readings = [
            Reading(vm_id=vm.pk, at=now, cpu_percent=number, cpus=0.5, memory_used=1 << 29, disk_read=1000,
                    disk_written=2000, net_received=3000, net_sent=4000)
            for vm in machines
        ]  # fmt: skip
        began = time.process_time()
        for _ in range(PASSES):
            book.note(readings, ours, idle=False)
        spent["ours"].append(time.process_time() - began)
        began = time.process_time()
        rollup.roll_up()
        spent["roll_up"].append(time.process_time() - began)
        spent["bare"].append(_bare(now, [vm.pk.hex for vm in machines]))
    # The first pass has no minute before it to write.
    figures = {name: min(values[1:]) for name, values in spent.items()}
    newest = minutes.filter(at=now - timedelta(minutes=1)).count()
    return {"before": before, "after": minutes.count(), "newest": newest, **figures}


def _fill(now: datetime) -> None:
    """A whole day of minutes for every machine, without us."""
    from django.db import connection

    rest = ", ".join(f"{metric}_{kind}" for metric in ("cpu", "memory", "disk_read", "disk_write", "net_in", "net_out")
                     for kind in ("avg", "max"))  # fmt: skip
    start = now - timedelta(minutes=1439)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH RECURSIVE minutes(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM minutes WHERE n < 1439)
            INSERT INTO virt_machineload (owner_id, span, slot, at, {rest})
            SELECT id, 0, (%s + n) %% 1440, datetime(%s, '+' || n || ' minutes'), {", ".join(["7"] * 12)}
            FROM minutes CROSS JOIN virt_virtualmachine""",
            [int(start.timestamp()) // 60 % 1440, start.strftime("%Y-%m-%d %H:%M:%S")],
        )


def _bare(now: datetime, machines: list[str]) -> float:
    """The same rows by sqlite3 alone."""
    from django.db import connection

    rest = [f"{metric}_{kind}" for metric in ("cpu", "memory", "disk_read", "disk_write", "net_in", "net_out")
            for kind in ("avg", "max")]  # fmt: skip
    statement = (
        f"INSERT INTO virt_machineload (owner_id, span, slot, at, {', '.join(rest)}) VALUES (?, 0, ?, ?"
        f"{', ?' * len(rest)}) ON CONFLICT (owner_id, span, slot) DO UPDATE SET at = excluded.at, "
        + ", ".join(f"{name} = excluded.{name}" for name in rest)
    )
    slot, text = int(now.timestamp()) // 60 % 1440, now.strftime("%Y-%m-%d %H:%M:%S")
    connection.ensure_connection()
    bare: Any = connection.connection
    began = time.process_time()
    bare.execute("BEGIN")
    bare.executemany(statement, [(key, slot, text, *([9] * len(rest))) for key in machines])
    bare.execute("COMMIT")
    return time.process_time() - began


def bars(found: dict[str, Any]) -> list[dict[str, Any]]:
    share = (found["ours"] + found["roll_up"] * ROLL_UPS_A_MINUTE) / 60 * 100
    bare = found["bare"] / 60 * 100
    same = found["before"] == found["after"] and found["newest"] == MACHINES
    return [
        {
            "what": "History of 1,000 machines, a row a minute: of a core", "ours": f"{share:.2f} %",
            "baseline": f"{bare:.2f} %", "value": f"{share:.2f} %", "bar": f"≤ {BAR_PERCENT:.0f} %",
            "met": share <= BAR_PERCENT,
        },
        {
            "what": "History of 1,000 machines: rows of minutes after a day, and later",
            "ours": f"{found['after']:,}", "baseline": f"{found['before']:,}", "value": "same" if same else "more",
            "bar": "the same", "met": same,
        },
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        found = measure(folder, 4 if options.quick else 12)
    lines = bars(found)
    from tests.bench.report import table

    print(table(lines))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"history": found, "bars": lines}, indent=1))
    return 0 if all(line["met"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
