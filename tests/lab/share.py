"""An NFS share without an NFS client: this kernel may have none.

On the hosts given, `mount.nfs` is one that binds a directory and keeps the words it was called with; libvirt calls it
as it would the real one.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.host import LabHost

MOUNT = """#!/bin/sh
echo "$@" >> {log}
exec mount --bind {exported} "$2"
"""


def share(hosts: Iterable[LabHost], exported: Path, base: Path) -> Path:
    """Have `exported` be what every NFS share is for the hosts. Returns where the words of `mount.nfs` are kept."""
    log = base / "calls"
    for host in hosts:
        upper, work = base / host.name / "upper", base / host.name / "work"
        for folder in (exported, upper, work):
            folder.mkdir(parents=True, exist_ok=True)
        script = upper / "mount.nfs"
        script.write_text(MOUNT.format(log=log, exported=exported))
        script.chmod(0o755)
        layers = f"lowerdir=/usr/sbin,upperdir={upper},workdir={work}"
        enter = ["nsenter", "--target", str(host.init_pid), "--mount"]
        subprocess.run([*enter, "mount", "-t", "overlay", "overlay", "-o", layers, "/usr/sbin"], check=True)
    return log
