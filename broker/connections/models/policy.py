"""ConsolePolicy: what may pass through the consoles of a pool's desktops, or of one machine."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ConsolePolicy(models.Model):
    """`object_kind` is "pool" or "vm"; a machine's own counts before its pool's.

    `speed` is in KiB a second, 0 without a limit; `quality` the best picture the page asks for, 0 to 9; `lock_after`
    the seconds without a key or click after which the page covers the picture, 0 for never; `keyboard` the way keys are
    sent, empty for the user's own choice. `files`, `usb` and `smartcard` are for SPICE. `rdp`: files for the
    desktop's own remote desktop are offered. With `record` the
    machine's side of the picture is written to a file, and only VNC in the browser is offered. `guests`: shared links
    may be made for people without an account. `sign_on`: how the owner of the desktop who opens it gets into its guest.
    """

    class Clipboard(models.TextChoices):
        BOTH = "both", _("both ways")
        IN = "in", _("only into the desktop")
        OUT = "out", _("only out of the desktop")
        NONE = "none", _("not at all")

    class Keyboard(models.TextChoices):
        FREE = "", _("as the user likes")
        POSITION = "position", _("by position")
        CHARACTER = "character", _("by character")

    class SignOn(models.TextChoices):
        NONE = "none", _("none: the desktop asks for a password")
        AGENT = "agent", _("by the guest agent, without a password")

    object_kind = models.CharField(max_length=8)
    object_id = models.UUIDField()
    clipboard = models.CharField(max_length=4, choices=Clipboard, default=Clipboard.BOTH)
    files = models.BooleanField(default=True)
    usb = models.BooleanField(default=True)
    smartcard = models.BooleanField(default=False)
    rdp = models.BooleanField(default=False)
    watermark = models.BooleanField(default=False)
    lock_after = models.PositiveIntegerField(default=0)
    speed = models.PositiveIntegerField(default=0)
    quality = models.PositiveSmallIntegerField(default=9)
    record = models.BooleanField(default=False)
    guests = models.BooleanField(default=False)
    sign_on = models.CharField(max_length=5, choices=SignOn, default=SignOn.NONE)
    keyboard = models.CharField(max_length=9, choices=Keyboard, default=Keyboard.FREE, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("object_kind", "object_id"), name="one_policy_per_object"),)

    def __str__(self) -> str:
        return f"consoles of {self.object_kind} {self.object_id}"

    @property
    def paste(self) -> bool:
        return self.clipboard in (self.Clipboard.BOTH, self.Clipboard.IN)

    @property
    def copy(self) -> bool:
        return self.clipboard in (self.Clipboard.BOTH, self.Clipboard.OUT)
