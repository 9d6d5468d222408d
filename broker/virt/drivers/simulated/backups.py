"""Backups on a simulated host: they take no time and note no contents, but what exists and what is refused is real."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from broker.core.text import gettext_noop
from broker.virt.driver import BackupLook, Refused, StorageSpec, no_volume, not_running
from broker.virt.drivers import names
from broker.virt.drivers.simulated.machines import find
from broker.virt.drivers.simulated.storage import Storing
from broker.virt.drivers.simulated.world import Data


class BackingUp(Storing):
    """The backups of a simulated host's machines."""

    def begin_backup(self, uuid: str, disks: Mapping[str, str], *, checkpoint: str, since: str = "") -> bool:
        names.check(checkpoint)
        self.meet("begin_backup")
        with self.world.changing() as data:
            machine = find(data, uuid)
            known = machine.setdefault("checkpoints", [])
            if checkpoint in known:
                return False
            if machine["power"] not in ("running", "paused"):
                raise not_running(machine["name"])
            if since and since not in known:
                raise Refused(
                    gettext_noop("What changed on “%(name)s” since %(since)s is not known any more."),
                    fix=gettext_noop("Make a full backup."),
                    name=machine["name"],
                    since=since,
                )
            for path in disks.values():
                if _volume_at(data, path) is None:
                    raise no_volume(path)
            known.append(checkpoint)
            machine["backup"] = {"run": machine["run"], "bytes": 1 << 20}
        return False

    def look_at_backup(self, uuid: str) -> BackupLook | None:
        self.meet("look_at_backup")
        with self.world.changing() as data:
            machine = find(data, uuid)
            last = machine.get("backup")
            if not last or machine["power"] not in ("running", "paused") or last["run"] != machine["run"]:
                return None
            return BackupLook(False, last["bytes"], last["bytes"])

    def stop_backup(self, uuid: str) -> None:
        self.meet("stop_backup")
        with self.world.changing() as data:
            find(data, uuid)

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        self.meet("checkpoints")
        with self.world.changing() as data:
            return tuple(find(data, uuid).get("checkpoints", []))

    def drop_checkpoint(self, uuid: str, name: str) -> None:
        self.meet("drop_checkpoint")
        self._forget(uuid, (name,))

    def forget_checkpoints(self, uuid: str, names: tuple[str, ...]) -> None:
        self.meet("forget_checkpoints")
        self._forget(uuid, names)

    def _forget(self, uuid: str, names: tuple[str, ...]) -> None:
        with self.world.changing() as data:
            machine = find(data, uuid)
            machine["checkpoints"] = [one for one in machine.get("checkpoints", []) if one not in names]

    def checksum(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[str, int]:
        names.check(name)
        self.meet("checksum")
        with self.world.changing() as data:
            volume = _volume_at(data, f"{storage.path}/{name}")
        if volume is None:
            raise no_volume(name)
        progress(1.0)
        return hashlib.sha256(json.dumps(volume, sort_keys=True).encode()).hexdigest(), volume["allocation"]

    def same_contents(self, storage: StorageSpec, one: str, other: str) -> bool:
        self.meet("same_contents")
        with self.world.changing() as data:
            first, second = (_volume_at(data, f"{storage.path}/{name}") for name in (one, other))
        return bool(first and second and first["capacity"] == second["capacity"])


def _volume_at(data: Data, path: str) -> Data | None:
    place = PurePosixPath(path)
    found: Data | None = data["storages"].get(str(place.parent), {}).get("volumes", {}).get(place.name)
    return found
