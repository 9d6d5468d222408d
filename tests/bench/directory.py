"""Following a directory of 10,000 users in 200 groups: a real slapd over TLS, SQLite, one process.

    python -m tests.bench.directory [--quick] [--users N] [--groups N]

Measures the first sync (everything new), one in which nothing changed, one after 200 changes, and a quiet look; and
the highest memory of the process that did it all. The baseline is the same reading without writing anything.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import slapd as servers
from tests.servers.slapd import GROUPS, PEOPLE

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS, MOST_MIB = 60.0, 200.0
GROUPS_OF_EACH = 5
CHANGED = 100


def people(count: int, groups: int) -> str:
    """The LDIF of so many users, each in GROUPS_OF_EACH groups."""
    users = "".join(
        f"dn: uid=user{n},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: user{n}\ncn: User Number {n}\nsn: {n}\n"
        f"mail: user{n}@example.org\nuserPassword: secret of theirs\n\n"
        for n in range(count)
    )
    members: list[list[str]] = [[] for _ in range(groups)]
    for n in range(count):
        for place in range(GROUPS_OF_EACH):
            members[(n * 7 + place * 31) % groups].append(f"member: uid=user{n},{PEOPLE}\n")
    return users + "".join(
        f"dn: cn=group{n},{GROUPS}\nobjectClass: groupOfNames\ncn: group{n}\n{''.join(lines)}\n"
        for n, lines in enumerate(members)
    )


def follow_it(config: dict[str, Any], url: str) -> dict[str, Any]:
    """Done in a process of its own, whose memory is measured: sets up the database and follows."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from broker.directories.kinds.ldap.config import parse
    from broker.directories.kinds.ldap.line import dial
    from broker.directories.kinds.ldap.roster import read
    from broker.directories.kinds.ldap.sync import follow
    from broker.directories.models import Directory, Membership, User
    from broker.directories.secret import sealed

    row = Directory.objects.create(
        name="Site", kind="ldap", config=config, secret=sealed(servers.READER_PASSWORD), sync_asked="full"
    )
    checked = parse(config)
    told: dict[str, Any] = {"base_mib": memory()}

    def full() -> Any:
        row.refresh_from_db()
        row.sync_asked = "full"
        return follow(row)

    def look() -> Any:
        row.refresh_from_db()
        return follow(row)

    told["read"], _ = timed(lambda: len(read(dial(checked, servers.READER_PASSWORD, seconds=60), checked).people))
    for name, work in (("first", full), ("same", full)):
        told[name], outcome = timed(work)
        told[f"{name}_rows"] = outcome.rows
    told["look"], outcome = timed(look)
    told["look_rows"] = outcome.rows
    told["users"], told["memberships"] = User.objects.count(), Membership.objects.count()
    change(url)
    told["changed"], outcome = timed(look)
    told["changed_rows"] = outcome.rows
    told["mib"] = memory()
    return told


def change(url: str) -> None:
    """CHANGED users get another name to be shown by, and as many leave a group."""
    import ldap

    line = ldap.initialize(url)
    line.simple_bind_s(servers.ROOT_DN, servers.ROOT_PASSWORD)
    for n in range(CHANGED):
        line.modify_s(f"uid=user{n},{PEOPLE}", [(ldap.MOD_REPLACE, "cn", [f"Changed {n}".encode()])])
    (_, entry), *_ = line.search_s(f"cn=group1,{GROUPS}", ldap.SCOPE_BASE, "(objectClass=*)", ["member"])
    line.modify_s(f"cn=group1,{GROUPS}", [(ldap.MOD_DELETE, "member", entry["member"][:CHANGED])])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    result = work()
    return time.monotonic() - began, result


def memory() -> float:
    """The most this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(users: int, groups: int) -> dict[str, Any]:
    with servers.running() as server, tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        server.load(people(users, groups))
        environment = {
            **os.environ, "BERTH_DATA_DIR": folder, "BERTH_DATABASE_URL": "", "BERTH_LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "broker.settings",
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.bench.directory", "--follow", json.dumps(server.config()), server.url]
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))


def bars(told: dict[str, Any], users: int, groups: int) -> list[dict[str, Any]]:
    size = f"{users:,} users in {groups} groups"
    wanted = 2 * CHANGED
    return [
        {
            "what": f"Directory sync, {size}: the first, everything new",
            "ours": f"{told['first']:.1f} s, {told['first_rows']:,} rows",
            "baseline": f"read alone {told['read']:.1f} s",
            "value": f"{told['first']:.1f} s", "bar": f"≤ {MOST_SECONDS:g} s", "met": told["first"] <= MOST_SECONDS,
        },
        {
            "what": f"Directory sync, {size}: highest memory of the process",
            "ours": f"{told['mib']:.0f} MiB", "baseline": f"Django alone {told['base_mib']:.0f} MiB",
            "value": f"{told['mib']:.0f} MiB", "bar": f"≤ {MOST_MIB:g} MiB", "met": told["mib"] <= MOST_MIB,
        },
        {
            "what": f"Directory sync, {size}: nothing changed, rows written",
            "ours": f"{told['same']:.1f} s (a look {told['look'] * 1000:.0f} ms)",
            "baseline": f"read alone {told['read']:.1f} s",
            "value": f"{told['same_rows'] + told['look_rows']} rows", "bar": "0 rows",
            "met": told["same_rows"] == told["look_rows"] == 0,
        },
        {
            "what": f"Directory sync, {size}: {wanted} changes, rows written",
            "ours": f"{told['changed']:.1f} s", "baseline": f"read alone {told['read']:.1f} s",
            "value": f"{told['changed_rows']} rows", "bar": f"{wanted} rows", "met": told["changed_rows"] == wanted,
        },
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--follow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.follow:
        print(json.dumps(follow_it(json.loads(options.follow[0]), options.follow[1])))
        return 0
    users, groups = (options.users // 10, options.groups // 10) if options.quick else (options.users, options.groups)
    told = measure(users, groups)
    lines = bars(told, users, groups)
    from tests.bench.report import table

    print(table(lines))
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"directory": told, "bars": lines}, indent=1))
    return 0 if all(line["met"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
