"""A real iSCSI target (tgt) for a test: `with Target(base, "198.18.77.1", luns=(16, 64), user="u") as target: …`.

LUNs are numbered from 1, each a sparse file; sizes are MiB. LUN 0 is tgt's own controller.
"""

import itertools
import secrets
import subprocess
import time
from pathlib import Path

_controls = itertools.count(secrets.randbelow(30000))  # their sockets lie in one place for all of a machine's tests


class Target:
    def __init__(
        self, base: Path, address: str, *, luns: tuple[int, ...], user: str = "", password: str = "", port: int = 3260
    ) -> None:
        self.base, self.portal, self.luns = base, f"{address}:{port}", luns
        self.user, self.password, self.name = user, password, "iqn.2026-01.example:store"
        self._control = str(next(_controls))

    def __enter__(self) -> "Target":
        self.base.mkdir(parents=True, exist_ok=True)
        Path("/run/tgtd").mkdir(exist_ok=True)
        words = ["tgtd", "-f", "-C", self._control, "--iscsi", f"portal={self.portal}"]
        self._daemon = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._until_it_answers()
        self._tell("target", "new", "--tid", "1", "--targetname", self.name)
        for number, size in enumerate(self.luns, 1):
            path = self.path(number)
            with path.open("ab") as file:
                file.truncate(size << 20)
            self._tell("logicalunit", "new", "--tid", "1", "--lun", str(number), "--backing-store", str(path))
        if self.user:
            self._tell("account", "new", "--user", self.user, "--password", self.password)
            self._tell("account", "bind", "--tid", "1", "--user", self.user)
        self._tell("target", "bind", "--tid", "1", "--initiator-address", "ALL")
        return self

    def __exit__(self, *exc: object) -> None:
        self._daemon.kill()
        self._daemon.wait()

    def path(self, lun: int) -> Path:
        """The file behind a LUN."""
        return self.base / f"lun-{lun}.img"

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(self._words("sys", "show"), capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline and self._daemon.poll() is None, "tgtd does not come up"
            time.sleep(0.05)

    def _tell(self, mode: str, verb: str, *words: str) -> None:
        subprocess.run(self._words(mode, verb, *words), check=True, capture_output=True)

    def _words(self, mode: str, verb: str, *words: str) -> list[str]:
        return ["tgtadm", "-C", self._control, "--lld", "iscsi", "--mode", mode, "--op", verb, *words]
