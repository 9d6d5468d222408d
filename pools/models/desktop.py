"""Desktop: a machine that is a seat of a pool. `holder` is whose it is now."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from broker.core import clock
from broker.virt.models import VirtualMachine
from pools.states import DesktopState

from .pool import Pool


class Desktop(models.Model):
    """Its primary key is its machine's. A holder and the state `assigned` go together, by constraint."""

    access_kind = "desktop"

    vm = models.OneToOneField(VirtualMachine, primary_key=True, on_delete=models.CASCADE, related_name="desktop")
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="desktops")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default=DesktopState.BUILDING, choices=[(s, s) for s in DesktopState])
    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="desktops"
    )
    held_since = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=clock.now)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("pool", "number")
        constraints = (
            models.UniqueConstraint(fields=("pool", "number"), name="desktop_number_once_per_pool"),
            models.CheckConstraint(
                condition=Q(state=DesktopState.ASSIGNED, holder__isnull=False)
                | (~Q(state=DesktopState.ASSIGNED) & Q(holder__isnull=True)),
                name="assigned_means_held",
            ),
        )
        indexes = (models.Index(fields=("pool", "state")),)

    def __str__(self) -> str:
        return self.vm.name
