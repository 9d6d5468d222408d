"""What the last full pass over a host saw, and what its rows said then: while both are the same, nothing is compared.

A pass that found host and rows of one mind leaves both here, the rows as the database gives them. The next one asks for
the rows in the same plain form; whoever changed one of them meanwhile, in any process, shows in that.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from broker.sql import Given, Statement

from .driver import Observation
from .models import ForeignMachine, Host, VirtualMachine

CONDITION = ("power_state", "power_reason", "boot_id", "observed_definition", "consoles")
"""The columns of a machine that a full pass compares with what the host says."""
FOREIGN = ("name", "power_state", "vcpus", "memory_bytes")
_told = attrgetter("uuid", "power", "name", "reason", "boot_id", "definition", "vcpus", "memory", "consoles")

_ROWS = Statement(
    lambda: VirtualMachine.objects.filter(host=Given("host")).order_by().values_list("pk", "state", *CONDITION)
)
_FOREIGN = Statement(lambda: ForeignMachine.objects.filter(host=Given("host")).order_by().values_list("uuid", *FOREIGN))


class LastPass:
    """One watcher's memory of one host. `held`: whether the pass at hand found all as the last one left it."""

    def __init__(self) -> None:
        self.held = False
        self._agreed: tuple[Any, ...] | None = None
        self._now: tuple[Any, ...] | None = None

    def look(self, host: Host, seen: Iterable[Observation]) -> bool:
        """Whether host and rows are as they were when they agreed; of what this pass says, `at` and counters aside."""
        self._now = [_told(one) for one in seen], _ROWS.plain(host=host.pk), _FOREIGN.plain(host=host.pk)
        self.held = self._agreed is not None and self._now == self._agreed
        return self.held

    def end(self, *, agreed: bool) -> None:
        """Note how the comparing ended that `look` made necessary."""
        self._agreed = self._now if agreed else None
