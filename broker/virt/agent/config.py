"""What the agent knows: who it is, its secret, and what the manager told it last. A JSON file that only root reads."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

VERSION = 3
LUN_PATHS = "/berth-iscsi"
"""Below it are the paths of volumes that are LUNs; no host has such a directory."""


@dataclass(frozen=True)
class Config:
    """`leases`: directories on shared storage, by the storage's id, `mounts` those that must be mounted.

    `peers`: host id → address. `stop_after`: seconds without a renewal after which guests are stopped. `watchdog`: a
    device that resets the machine when it is not fed.
    """

    manager: str = ""
    host: str = ""
    secret: str = ""
    leases: tuple[tuple[str, str], ...] = ()
    mounts: tuple[str, ...] = ()
    peers: tuple[tuple[str, str], ...] = ()
    stop_after: float = 40.0
    port: int = 16515
    watchdog: str = ""
    state: str = "/run/berth-agent"
    guests: str = "/run/libvirt/qemu"
    secrets: str = "/etc/libvirt/secrets"
    root: str = "/"

    @property
    def renew_every(self) -> float:
        return self.stop_after / 8

    @classmethod
    def load(cls, path: Path) -> "Config":
        found = json.loads(path.read_text())
        known = {name: found[name] for name in cls.__dataclass_fields__ if name in found}
        for name in ("leases", "peers"):
            known[name] = tuple(sorted((str(key), str(value)) for key, value in dict(known.get(name, ())).items()))
        known["mounts"] = tuple(known.get("mounts", ()))
        return cls(**known)

    def save(self, path: Path) -> None:
        """Written aside and moved into place, so that whoever reads it sees all or nothing."""
        stored = asdict(self) | {"leases": dict(self.leases), "peers": dict(self.peers)}
        aside = path.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(stored, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)

    def told(self, answer: dict[str, Any]) -> "Config":
        """With what the manager answered; what it left out stays."""
        new: dict[str, Any] = {}
        for name in ("leases", "peers"):
            if isinstance(answer.get(name), dict):
                new[name] = tuple(sorted((str(key), str(value)) for key, value in answer[name].items()))
        if isinstance(answer.get("mounts"), list):
            new["mounts"] = tuple(sorted(map(str, answer["mounts"])))
        if isinstance(answer.get("stop_after"), int | float):
            new["stop_after"] = min(max(float(answer["stop_after"]), 2.0), 1800.0)
        return replace(self, **new)
