"""Until when each lease is good, and what follows when it is over. Pure: the guard asks with the time of a clock that
goes on while the machine sleeps and is the same for all processes since boot.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Terms:
    """`renewed`: storage → when the last renewal that succeeded was begun. Kept in /run, so that an agent that was
    killed and comes back late knows that it is late, and a machine that was rebooted knows nothing."""

    def __init__(self, path: Path):
        self.path = path
        self.renewed: dict[str, float] = {}
        try:
            self.renewed = {str(key): float(value) for key, value in json.loads(path.read_text()).items()}
        except (OSError, ValueError):
            pass  # none since boot

    def expect(self, storages: Iterable[str], at: float) -> None:
        """Hold these leases and no others; a new one has its first term from now."""
        wanted = set(storages)
        self.renewed = {one: self.renewed.get(one, at) for one in wanted}
        self._save()

    def renew(self, storage: str, begun: float) -> None:
        if storage in self.renewed and begun > self.renewed[storage]:
            self.renewed[storage] = begun
            self._save()

    def over(self, at: float, stop_after: float) -> set[str]:
        """The leases that were not renewed in time."""
        return {storage for storage, begun in self.renewed.items() if at - begun > stop_after}

    def _save(self) -> None:
        aside = self.path.with_suffix(".new")
        aside.write_text(json.dumps(self.renewed))
        aside.replace(self.path)
