"""Guest: somebody without an account who came by a shared link, and is known by the user row made for that."""

from django.conf import settings
from django.db import models

from broker.core import clock


class Guest(models.Model):
    """Is somebody only as long as the link is good; `name` is what they said they are called."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="guest"
    )
    share = models.ForeignKey("connections.Share", null=True, on_delete=models.SET_NULL, related_name="strangers")
    name = models.CharField(max_length=64)
    since = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name
