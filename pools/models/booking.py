"""BookingRules: how desktops of a pool are booked. Booking: one desktop of it for one person for a time."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from broker.core import clock
from pools.states import BookingState

from .desktop import Desktop
from .pool import Pool


class BookingRules(models.Model):
    """Times in minutes, `ahead` in days. They count while Pool.booked is set.

    `capacity` empty: as many as the pool has. `zone`: whose days and hours the calendar shows.
    """

    pool = models.OneToOneField(Pool, primary_key=True, on_delete=models.CASCADE, related_name="booking_rules")
    shortest = models.PositiveIntegerField(default=30)
    longest = models.PositiveIntegerField(default=480)
    ahead = models.PositiveSmallIntegerField(default=14)
    per_person = models.PositiveSmallIntegerField(default=3)
    grace = models.PositiveIntegerField(default=15)
    cancel_until = models.PositiveIntegerField(default=0)
    capacity = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(5000)]
    )
    walk_in = models.BooleanField(default=True)
    zone = models.CharField(max_length=64, default="UTC")

    def __str__(self) -> str:
        return f"booking rules of {self.pool_id}"

    def length(self) -> timedelta:
        """The shortest time that can be booked."""
        return timedelta(minutes=self.shortest)

    def desktops(self) -> int:
        """How many can be booked at once; `pool` should be loaded."""
        return self.pool.size if self.capacity is None else min(self.capacity, self.pool.size)


class Booking(models.Model):
    """Of a desktop for `user`; a block (maintenance) is of all desktops and has no user.

    `desktop` is the one that its user has now, `desktop_name` the one that it was. `by` made it, `reason` says why it
    is blocked or was cancelled. `end` moves: earlier when the desktop goes back, later when the session is extended.
    """

    class Kind(models.TextChoices):
        BOOKED = "booked", _("booked")
        WALK_IN = "walk-in", _("without a booking")
        BLOCK = "block", _("blocked")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="bookings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="bookings")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.BOOKED)
    state = models.CharField(max_length=12, default=BookingState.BOOKED, choices=[(s, s) for s in BookingState])
    start = models.DateTimeField()
    end = models.DateTimeField()
    desktop = models.OneToOneField(Desktop, null=True, on_delete=models.SET_NULL, related_name="booking")
    desktop_name = models.CharField(max_length=64, blank=True)
    by = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("start",)
        constraints = (
            models.CheckConstraint(condition=Q(start__lte=F("end")), name="booking_ends_after_its_start"),
            models.CheckConstraint(
                condition=Q(kind="block", user__isnull=True) | (~Q(kind="block") & Q(user__isnull=False)),
                name="booking_is_somebodys",
            ),
        )
        indexes = (models.Index(fields=("pool", "state", "end")), models.Index(fields=("user", "state")))

    def __str__(self) -> str:
        return f"{self.user or '–'}: {self.start:%Y-%m-%d %H:%M} – {self.end:%Y-%m-%d %H:%M} UTC"
