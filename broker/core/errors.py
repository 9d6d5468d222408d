"""What can go wrong, said once: a cause, a next step, and whether trying again makes sense.

Every refusal and failure in Berth is a BerthError. The message is a template plus parameters, so that
pages and the API can translate it; `fix` says what would help. No Django here: drivers raise these too.
"""

from typing import Any, ClassVar


class BerthError(Exception):
    """Base of every error shown to people.

    `message` and `fix` are %-templates over `params` ("%(name)s is running").
    `code` is stable and machine-readable; `status` is the HTTP status of a door that reports it;
    `retry` says whether the same call may succeed later without anybody changing anything.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, fix: str = "", reasons: tuple["Reason", ...] = (), **params: Any):
        super().__init__(message)
        self.template, self.fix_template, self.params, self.reasons = message, fix, params, reasons

    @property
    def message(self) -> str:
        return self.template % self.params if self.params else self.template

    @property
    def fix(self) -> str:
        return self.fix_template % self.params if self.params else self.fix_template

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data for a Job row, an Event or an API answer."""
        return {
            "code": self.code,
            "message": self.template,
            "fix": self.fix_template,
            "params": {key: str(value) for key, value in self.params.items()},
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


class Reason:
    """One thing that was looked at and the rule it failed: "host-2: too little memory (2 GiB free, 4 needed)"."""

    def __init__(self, subject: str, rule: str, message: str, **params: Any):
        self.subject, self.rule, self.template, self.params = subject, rule, message, params

    def as_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "rule": self.rule,
            "message": self.template,
            "params": {key: str(value) for key, value in self.params.items()},
        }


class Invalid(BerthError):
    """The input cannot be right, whatever the state of the world. `field` names the form field."""

    code, status = "invalid", 400

    def __init__(self, message: str, *, field: str = "", fix: str = "", **params: Any):
        super().__init__(message, fix=fix, **params)
        self.field = field


class Denied(BerthError):
    """The actor may see the object but not do this to it."""

    code, status = "denied", 403


class Missing(BerthError):
    """No such object, or none that the actor may see: the two are told alike."""

    code, status = "missing", 404


class Conflict(BerthError):
    """Right in itself, but not in the present state."""

    code, status = "conflict", 409


class Busy(Conflict):
    """Another job works on the object; the same call may succeed when it is done."""

    code, retry = "busy", True


class OverQuota(BerthError):
    """Allowed and possible, but over what was granted."""

    code, status = "over-quota", 403


class NoCapacity(BerthError):
    """Nothing that could serve the request has room; `reasons` lists what was looked at."""

    code, status, retry = "no-capacity", 503, True


class Unavailable(BerthError):
    """Something we depend on does not answer; trying again later makes sense."""

    code, status, retry = "unavailable", 503, True
