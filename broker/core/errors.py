"""What can go wrong, said once: a cause, a next step, and whether trying again makes sense.

Every refusal and failure in Berth is a BerthError. The message is a template plus parameters, so that
pages and the API can translate it; `fix` says what would help. No Django here: drivers raise these too.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from .reasons import Count, Reason, counted, named

__all__ = [
    "BerthError", "Busy", "Conflict", "Denied", "Invalid", "Missing", "NoCapacity", "OverQuota", "Reason",
    "Unavailable",
]  # fmt: skip


class BerthError(Exception):
    """Base of every error shown to people.

    `message` and `fix` are %-templates over `params` ("%(name)s is running").
    `code` is stable and machine-readable; `status` is the HTTP status of a door that reports it;
    `retry` says whether the same call may succeed later without anybody changing anything.
    `rule` names what refused ("pool.max-per-user"), by default the class's `usual_rule`; `reasons` is what was
    looked at (`about`: the one row that was, of which the message itself is said), `counts` how often each rule
    refused when they are more than are named; `helps` are further sentences beside `fix` of what would help.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    usual_rule: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        rule: str = "",
        reasons: Sequence[Reason] = (),
        counts: Sequence[Count] = (),
        helps: Sequence[str] = (),
        about: Any = None,
        **params: Any,
    ):
        super().__init__(message)
        self.template, self.fix_template, self.params = message, fix, params
        self.rule = rule or self.usual_rule or self.code
        self.reasons, self.helps = tuple(reasons), tuple(helps)
        if about is not None and not self.reasons:
            self.reasons = (Reason.of_row(about, self.rule, message, **params),)
        self._counts = tuple(counts)

    @property
    def message(self) -> str:
        return self.template % self.params if self.params else self.template

    @property
    def fix(self) -> str:
        return self.fix_template % self.params if self.params else self.fix_template

    @property
    def counts(self) -> tuple[Count, ...]:
        return self._counts or counted(self.reasons)

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data for a Job row, an Event or an API answer; the reasons in a bounded number."""
        return {
            "code": self.code,
            "message": self.template,
            "fix": self.fix_template,
            "params": {key: str(value) for key, value in self.params.items()},
            "rule": self.rule,
            "reasons": [reason.as_dict() for reason in named(self.reasons)],
            "counts": [count.as_dict() for count in self.counts],
            "helps": list(self.helps),
        }


class Invalid(BerthError):
    """The input cannot be right, whatever the state of the world. `field` names the form field."""

    code, status = "invalid", 400

    def __init__(self, message: str, *, field: str = "", fix: str = "", rule: str = "", **params: Any):
        super().__init__(message, fix=fix, rule=rule or f"input.{field or 'value'}", **params)
        self.field = field


class Denied(BerthError):
    """The actor may see the object but not do this to it."""

    code, status, usual_rule = "denied", 403, "access.right"


class Missing(BerthError):
    """No such object, or none that the actor may see: the two are told alike."""

    code, status, usual_rule = "missing", 404, "access.visible"


class Conflict(BerthError):
    """Right in itself, but not in the present state."""

    code, status = "conflict", 409


class Busy(Conflict):
    """Another job works on the object; the same call may succeed when it is done."""

    code, retry, usual_rule = "busy", True, "job.active"


class OverQuota(BerthError):
    """Allowed and possible, but over what was granted."""

    code, status = "over-quota", 403


class NoCapacity(BerthError):
    """Nothing that could serve the request has room; `reasons` lists what was looked at."""

    code, status, retry = "no-capacity", 503, True


class Unavailable(BerthError):
    """Something we depend on does not answer; trying again later makes sense."""

    code, status, retry = "unavailable", 503, True
