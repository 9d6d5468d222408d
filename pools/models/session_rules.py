"""SessionRules: what becomes of a pool's desktops when their users leave, fall silent, log out or stay too long."""

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from pools.session_rules import Act, Rules, Step, Trigger

from .pool import Pool

DO = [
    (Act.NOTHING, _("nothing")),
    (Act.LOCK, _("lock it")),
    (Act.DISCONNECT, _("close the screen")),
    (Act.LOG_OUT, _("log the user out")),
    (Act.SUSPEND, _("suspend it")),
    (Act.SHUT_DOWN, _("shut it down")),
    (Act.GIVE_BACK, _("give it back to the pool")),
]


def _act() -> "models.CharField[str, str]":
    return models.CharField(max_length=12, choices=DO, default=Act.NOTHING)


class SessionRules(models.Model):
    """All times in seconds. `then` is a second, harsher step after leaving. `longest` 0: no limit.

    `kept` is what the users are told of their files ("your files in D:"); empty: what the pool's kind says.
    """

    pool = models.OneToOneField(Pool, primary_key=True, on_delete=models.CASCADE, related_name="session_rules")
    leave = _act()
    leave_after = models.PositiveIntegerField(default=0)
    then = _act()
    then_after = models.PositiveIntegerField(default=0)
    logoff = _act()
    logoff_after = models.PositiveIntegerField(default=0)
    idle = _act()
    idle_after = models.PositiveIntegerField(default=600)
    longest = models.PositiveIntegerField(default=0)
    longest_do = models.CharField(max_length=12, choices=DO, default=Act.DISCONNECT)
    warn_before = models.PositiveIntegerField(default=300)
    extension = models.PositiveIntegerField(default=1800)
    extensions = models.PositiveSmallIntegerField(default=1)
    kept = models.CharField(max_length=120, blank=True)

    def __str__(self) -> str:
        return f"rules of {self.pool_id}"

    def rules(self) -> Rules:
        """The rule set as pools.session_rules reads it."""
        steps = [
            _step("leave", Trigger.LEAVE, self.leave, self.leave_after),
            _step("then", Trigger.LEAVE, self.then, self.then_after),
            _step("logoff", Trigger.LOGOFF, self.logoff, self.logoff_after),
            _step("idle", Trigger.IDLE, self.idle, self.idle_after),
        ]
        if self.longest:
            steps.append(_step("longest", Trigger.LONGEST, self.longest_do, self.longest))
        return Rules(
            steps=tuple(step for step in steps if step.act is not Act.NOTHING),
            warn=timedelta(seconds=self.warn_before),
            extension=timedelta(seconds=self.extension),
            extensions=self.extensions,
        )


def _step(name: str, trigger: Trigger, act: str, after: int) -> Step:
    return Step(name, trigger, Act(act), timedelta(seconds=after))
