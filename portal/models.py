"""What the doors themselves remember: API tokens, and which calls were answered already."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken

from broker.core import clock


class ApiToken(AbstractAuthToken):
    """A named, expiring token; only its hash is here.

    `scope`: what of its person's rights it has (Scope.as_dict()), None for all. `networks`: from where it may be used,
    as CIDR; none for everywhere. `last_used_at` to the minute.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=64)
    scope = models.JSONField(null=True, editable=False)
    networks = models.JSONField(default=list, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created",)
        verbose_name = _("API token")

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """The answer given to a call that carried a key, written in the transaction of the call.

    `secret` answers (a token, a ticket) are not kept: whoever repeats such a call is told so.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    location = models.CharField(max_length=255, blank=True)
    body = models.TextField(blank=True)
    secret = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_once_per_user"),)

    def __str__(self) -> str:
        return self.key
