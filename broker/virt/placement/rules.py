"""Find the rules: every module of `filters/` and `weights/`.

A filter module has `check(request, host) -> Reason | None`: why the host will not do; `WORDS`, the same without a
name or number, for readers who may not know the host; and `HELP`, what would help. A weight module has `FACTOR` and
`weigh(request, host) -> float`: more is better; values of one rule are scaled to 0..1 over the hosts compared, then
multiplied by FACTOR.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from broker.core.errors import Reason

from . import filters, weights
from .facts import HostFacts, Request


@dataclass(frozen=True)
class Filter:
    name: str
    check: Callable[[Request, HostFacts], Reason | None]
    words: str = ""
    help: str = ""

    def refusal(self, request: Request, host: HostFacts) -> Reason | None:
        """What `check` says, as said of that host."""
        reason = self.check(request, host)
        return reason.about("host", host.id, words=self.words) if reason else None


@dataclass(frozen=True)
class Weight:
    name: str
    factor: float
    weigh: Callable[[Request, HostFacts], float]


def _modules(package: ModuleType) -> list[tuple[str, ModuleType]]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [(name, importlib.import_module(f"{package.__name__}.{name}")) for name in names]


@cache
def all_filters() -> tuple[Filter, ...]:
    return tuple(Filter(name, module.check, module.WORDS, module.HELP) for name, module in _modules(filters))


@cache
def all_weights() -> tuple[Weight, ...]:
    return tuple(Weight(name, module.FACTOR, module.weigh) for name, module in _modules(weights))
