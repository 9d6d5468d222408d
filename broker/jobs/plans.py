"""What a long verb is made of: a Plan is a tuple of Steps, each with a probe, a do and an undo.

A step may be begun twice (its worker died in it), so: `probe` says whether its effect is there already,
`do` brings it about, `undo` takes it back and must bear that `do` never began or got half-way. A step
without undo says why none is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.core.registry import Registry

if TYPE_CHECKING:
    from .context import Context

StepFunction = Callable[["Context"], None]


class NotYet(Exception):
    """Raised by a step that has to wait: the worker is freed and the step begun again after `retry_in` seconds."""

    def __init__(self, retry_in: float, message: str = "", **params: object):
        super().__init__(message)
        self.retry_in, self.message, self.params = retry_in, message, params


@dataclass(frozen=True)
class Step:
    """One effect. `last_exit`: after this step the job can no longer be cancelled."""

    name: str
    do: StepFunction
    title: str
    probe: Callable[["Context"], bool] | None = None
    undo: StepFunction | None = None
    no_undo: str = ""
    last_exit: bool = False

    def __post_init__(self) -> None:
        if (self.undo is None) == (not self.no_undo):
            raise ValueError(f"step {self.name}: give an undo, or the reason why none is needed")


@dataclass(frozen=True)
class Plan:
    """A long verb. `patience`: seconds for which errors that may pass (retry=True) are tried again."""

    name: str
    title: str
    subject_kind: str
    steps: tuple[Step, ...]
    cancellable: bool = True
    patience: float = 60.0

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


PLANS: Registry[Plan] = Registry("plan")


def register(plan: Plan) -> Plan:
    """Make a plan known; called at import by each app's plans module."""
    return PLANS.add(plan.name, plan)
