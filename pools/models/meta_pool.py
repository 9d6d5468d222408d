"""MetaPool: several pools that users see as one, and in which order it goes through them. MetaMember: one of them."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from broker.core import clock

from .pool import Pool

MOST_MEMBERS = 8


class MetaPool(models.Model):
    """Who may use it needs no right on its members. `max_per_user` counts desktops of all members together.

    `revision` counts edits, as that of a pool does.
    """

    access_kind = "meta-pool"

    class Policy(models.TextChoices):
        PRIORITY = "priority", _("In the order given: the first that can serve")
        EVEN = "even", _("Evenly: where the smallest part is in use")
        MOST_FREE = "most-free", _("Where most desktops are free")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=128)
    description = models.TextField(blank=True)
    policy = models.CharField(max_length=12, choices=Policy, default=Policy.PRIORITY)
    max_per_user = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    pools = models.ManyToManyField(Pool, through="MetaMember", related_name="meta_pools")
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("title",)

    def __str__(self) -> str:
        return self.title or self.name


class MetaMember(models.Model):
    """`position`: its place in the order, from 1. It goes with its pool."""

    meta = models.ForeignKey(MetaPool, on_delete=models.CASCADE, related_name="members")
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="memberships")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("meta", "pool"), name="pool_once_in_meta_pool"),)

    def __str__(self) -> str:
        return f"{self.meta}: {self.pool}"
