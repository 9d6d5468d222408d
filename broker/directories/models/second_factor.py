"""SecondFactor: the app on somebody's phone that makes codes. RecoveryCode: what gets them in without the phone."""

import uuid

from django.db import models

from broker.core import clock


class SecondFactor(models.Model):
    """`secret` is sealed; `last_step` is the newest period of which a code was taken: none up to it works again."""

    user = models.OneToOneField(
        "directories.User", primary_key=True, on_delete=models.CASCADE, related_name="second_factor"
    )
    secret = models.TextField(editable=False)
    last_step = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    def __str__(self) -> str:
        return str(self.user_id)


class RecoveryCode(models.Model):
    """Good once: the row goes when its code is used. Only a digest is here, made with the installation's key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("factor", "digest"), name="recovery_code_once"),)

    def __str__(self) -> str:
        return str(self.factor_id)
