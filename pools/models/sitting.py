"""Sitting: one user's stay at a held desktop, over reloads, dropped lines and other devices."""

from django.db import models

from .desktop import Desktop


class Sitting(models.Model):
    """What pools.session_duty last saw and did for the desktop's present holder, known by `held_since`.

    `began_at`, `left_at`, `input_at`, `logged_off_at` are those of session_rules.Facts. `cut_at`: screens opened
    before do not count, for the longest session was ended then. `guest_boot`: the run in which somebody was logged in
    to the guest. `acts`: step → {base, at, act, job, trouble}, what was done.
    """

    desktop = models.OneToOneField(Desktop, primary_key=True, on_delete=models.CASCADE, related_name="sitting")
    held_since = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)
    input_at = models.DateTimeField(null=True)
    cut_at = models.DateTimeField(null=True)
    guest_boot = models.CharField(max_length=64, blank=True)
    logged_off_at = models.DateTimeField(null=True)
    extended = models.PositiveIntegerField(default=0)
    extensions = models.PositiveSmallIntegerField(default=0)
    acts = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"sitting at {self.desktop_id}"
