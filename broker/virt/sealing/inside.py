"""The script that seals a running Linux guest, for its agent to run: `rules.py` as shell.

It is for what cannot be sealed from outside (XFS, Btrfs, LVM, encrypted disks). The guest is to be shut down next.
"""

import shlex

from . import rules


def script() -> str:
    """For `sh`, as root; ends with 0 when it got through."""
    lines = ["set -u", 'empty() { [ -f "$1" ] && [ ! -L "$1" ] && : >"$1"; return 0; }']
    lines += [f"rm -f {_glob(pattern)}" for pattern in rules.REMOVE]
    lines += [f"[ -L {path} ] || rm -f {path}" for path in map(shlex.quote, rules.REMOVE_FILES)]
    lines += [f"empty {path}" for path in map(shlex.quote, rules.EMPTY)]
    for path in map(shlex.quote, rules.CLEAR):
        lines.append(f"[ -d {path} ] && [ ! -L {path} ] && find {path} -xdev -mindepth 1 -delete")
    away = " -o ".join(f"-name {shlex.quote(pattern)}" for pattern in rules.PUT_AWAY)
    logs = shlex.quote(rules.LOGS)
    lines.append(f"find {logs} -xdev -type f \\( {away} \\) -exec rm -f {{}} +")
    # busybox has no truncate of find's own
    lines.append(f"find {logs} -xdev -type f -exec sh -c 'for f; do : >\"$f\"; done' sh {{}} +")
    lines += [_keys_unit(), "sync", "exit 0"]
    return "\n".join(lines) + "\n"


def _keys_unit() -> str:
    unit, link = shlex.quote(rules.KEYS_UNIT_PATH), shlex.quote(rules.KEYS_UNIT_LINK)
    wanted = "[ -x /usr/bin/ssh-keygen ] && [ -d /etc/systemd/system/multi-user.target.wants ]"
    theirs = "ls /lib/systemd/system/sshd-keygen* >/dev/null 2>&1"
    write = f"printf %s {shlex.quote(rules.KEYS_UNIT)} >{unit}; ln -sf {unit} {link}"
    return f"if {wanted} && ! {theirs}; then {write}; fi"


def _glob(pattern: str) -> str:
    """The pattern with everything quoted but its stars."""
    return "*".join(shlex.quote(part) if part else "" for part in pattern.split("*"))
