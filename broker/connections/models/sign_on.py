"""SignOn: that the owner of a desktop, who opened its screen, is to be signed on in its guest; and what came of it."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from broker.core import clock

from .session import Session


class SignOn(models.Model):
    """`due_at`: when a worker looks at it next. `begun_at`: the guest was asked to begin the login, as `account`.

    `outcome` is empty until it is over; `error` is then why it failed, a BerthError as data.
    """

    class Outcome(models.TextChoices):
        SIGNED_ON = "signed-on", _("signed on in the desktop")
        PRESENT = "present", _("was logged in in the desktop")
        UNLOCKED = "unlocked", _("the desktop was unlocked")
        FAILED = "failed", _("not signed on in the desktop")
        DROPPED = "dropped", _("left before the sign-on in the desktop")

    session = models.OneToOneField(Session, primary_key=True, on_delete=models.CASCADE, related_name="sign_on")
    asked_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now, null=True, db_index=True)
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    account = models.CharField(max_length=128, blank=True)
    outcome = models.CharField(max_length=9, choices=Outcome, blank=True)
    error = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-asked_at",)
        verbose_name = "sign-on"

    def __str__(self) -> str:
        return f"sign-on of {self.session_id}"
