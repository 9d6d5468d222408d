"""SessionTiming: how long somebody waited for a desktop, by phase. TimingTotal: the same counted up for metrics."""

from django.conf import settings
from django.db import models

PHASES = ("sign_in", "allocation", "start", "boot", "agent", "picture")
TOTAL = "total"


class SessionTiming(models.Model):
    """One wait, from the request to the desktop; times in milliseconds, empty where the user had not to wait for it.

    `sign_in`: the request that signed in, of the first desktop of a sign-in. `allocation`: from asking for a desktop
    to having it, the queue included. `start`: until its machine has power. `boot`: until its agent answers. `agent`:
    until the agent tells its address. `picture`: from the knock at the gateway to the first pixels. `total` is what
    passed on a clock, so phases at the same time count once.

    `signed_in_at` is when the sign-in was asked for. `open`: the agent is still waited for; `looked_up`: all that is
    known otherwise was filled in. `counted`: it is in the totals. `pool_id` is a pool of the layer above.
    """

    session = models.OneToOneField("connections.Session", null=True, on_delete=models.SET_NULL, related_name="timing")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    vm = models.ForeignKey("virt.VirtualMachine", null=True, on_delete=models.SET_NULL, related_name="+")
    boot_id = models.CharField(max_length=64, blank=True)
    pool_id = models.UUIDField(null=True)
    began_at = models.DateTimeField()
    at = models.DateTimeField(db_index=True)
    sign_in = models.PositiveIntegerField(null=True)
    allocation = models.PositiveIntegerField(null=True)
    start = models.PositiveIntegerField(null=True)
    boot = models.PositiveIntegerField(null=True)
    agent = models.PositiveIntegerField(null=True)
    picture = models.PositiveIntegerField(null=True)
    total = models.PositiveIntegerField(null=True)
    signed_in_at = models.DateTimeField(null=True)
    looked_up = models.BooleanField(default=False)
    open = models.BooleanField(default=False)
    counted = models.BooleanField(default=False)

    class Meta:
        ordering = ("-at",)
        indexes = (
            models.Index(fields=("pool_id", "-at")),
            models.Index(fields=("at",), condition=models.Q(counted=False), name="timings_to_count"),
        )

    def __str__(self) -> str:
        return f"{self.total} ms"

    @property
    def slowest(self) -> str:
        """The phase that took longest; empty when none is known."""
        known = {name: took for name in PHASES if (took := getattr(self, name)) is not None}
        return max(known, key=lambda name: known[name]) if known else ""


class TimingTotal(models.Model):
    """A histogram that only grows: how many waits of a pool were in each bucket of a phase.

    `pool` is the pool's id, empty for machines of none. `buckets` has a count for each of metrics' bounds and one for
    all beyond.
    """

    pool = models.CharField(max_length=36, blank=True)
    phase = models.CharField(max_length=16)
    buckets = models.JSONField(default=list)
    sum_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("pool", "phase"), name="one_total_per_pool_and_phase"),)

    def __str__(self) -> str:
        return f"{self.pool} {self.phase}"
