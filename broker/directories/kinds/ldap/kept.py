"""Lines that are kept for the next sign-in: in the morning TLS and the reader's bind cost more than all that is asked.

Two kinds, never mixed. Readers are bound as the configured reader, and searched on. On doors a person's password is
tried: whoever tried last is bound there, so nothing else is ever asked on them.

A kept line may be dead, for its server was restarted or closes lines that rest. So it gets half of the time that is
left, and when it fails, the same is done on a new one.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from broker.core import clock
from broker.core.errors import Unavailable

from .config import LdapConfig
from .line import Line, dial

R = TypeVar("R")
READER, DOOR = "reader", "door"
KEPT_SECONDS = 10.0
"""How long a line rests before it is closed; servers that close such lines wait for minutes."""
MOST_KEPT = 8
"""Of each kind, for each directory."""

_Key = tuple[str, LdapConfig, str]
_resting: dict[_Key, list[tuple[float, Line]]] = {}
_lock = threading.Lock()
_sweeping = False


class Keeper:
    """Gives lines to one sign-in, which has `seconds` altogether, and takes them back.

    A `patient` one is for the preview, which has to see whether a line can be made: it keeps none.
    """

    def __init__(self, config: LdapConfig, password: str, *, seconds: float, patient: bool = False):
        self._config, self._password, self._ends = config, password, clock.steady() + seconds
        self._patient = patient

    def done_on(self, kind: str, work: Callable[[Line], R]) -> tuple[R, Line]:
        """What `work` returns, and the line it was done on: `keep` it, or close it. Raises what `work` and dial do."""
        if (line := self._taken(kind)) is not None:
            try:
                line.give((self._ends - clock.steady()) / 2)
                result = work(line)
            except Unavailable:
                line.close()
                forget(self._config)
            except BaseException:
                line.close()
                raise
            else:
                line.ends = self._ends
                return result, line
        left = self._ends - clock.steady()
        line = dial(self._config, self._password, seconds=left, patient=self._patient)
        try:
            return work(line), line
        except BaseException:
            line.close()
            raise

    def _taken(self, kind: str) -> Line | None:
        oldest = clock.steady() - KEPT_SECONDS
        if self._patient:
            return None
        with _lock:
            resting = _resting.get((kind, self._config, self._password), [])
            # The one that rested least; older ones are left to be swept.
            return resting.pop()[1] if resting and resting[-1][0] > oldest else None

    def keep(self, kind: str, line: Line) -> None:
        """The line is nobody's now: the next one may have it, if it works."""
        with _lock:
            resting = _resting.setdefault((kind, self._config, self._password), [])
            if kept := not (self._patient or line.broken or len(resting) >= MOST_KEPT):
                resting.append((clock.steady(), line))
                _sweep_later()
        if not kept:
            line.close()


def forget(config: LdapConfig | None = None) -> None:
    """Close what rests: the lines of one configuration, or all."""
    with _lock:
        keys = [key for key in _resting if config is None or key[1] == config]
        gone = [line for key in keys for _, line in _resting.pop(key)]
    for line in gone:
        line.close()


def _sweep_later() -> None:
    """Close what has rested too long, some seconds from now; the caller holds the lock."""
    global _sweeping  # one timer at a time
    if not _sweeping:
        _sweeping = True
        timer = threading.Timer(KEPT_SECONDS, _sweep)
        timer.daemon = True
        timer.start()


def _sweep() -> None:
    global _sweeping
    oldest = clock.steady() - KEPT_SECONDS
    with _lock:
        gone = [line for resting in _resting.values() for since, line in resting if since <= oldest]
        for key, resting in list(_resting.items()):
            _resting[key] = [one for one in resting if one[0] > oldest]
            if not _resting[key]:
                del _resting[key]
        _sweeping = False
        if _resting:
            _sweep_later()
    for line in gone:
        line.close()
