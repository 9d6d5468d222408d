"""Directory: a place users come from, of some kind, asked in `order`."""

import uuid

from django.db import models


class SyncAsked(models.TextChoices):
    """What an administrator asked of the next look: everything anew, or everything and whatever goes may go."""

    NOTHING = "", "nothing"
    FULL = "full", "full"
    ACCEPT = "accept", "accept"


class Directory(models.Model):
    """`config` is the kind's own and holds no secret: those are in `secret` and `keytab`, sealed.

    `sync_state` is what the kind remembers between looks (where it got to); `sync_error` why the last look failed, or
    what it refused to take over (a BerthError as data); `sync_held` how many users or memberships wait for an
    administrator's word. `second_factor`: its people have to have one; who has none sets it up before anything else.
    `guest_name`: what they are called in the guests of desktops (guest_names.py); empty: nobody is signed on there.
    """

    access_kind = "directory"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)
    enabled = models.BooleanField(default=True)
    order = models.PositiveSmallIntegerField(default=100)
    second_factor = models.BooleanField(default=False)
    guest_name = models.CharField(max_length=128, default="{login}", blank=True)
    config = models.JSONField(default=dict, blank=True)
    secret = models.TextField(blank=True, editable=False)
    keytab = models.TextField(blank=True, default="", editable=False)
    looked_at = models.DateTimeField(null=True, editable=False)
    synced_at = models.DateTimeField(null=True, editable=False)
    sync_error = models.JSONField(default=dict, blank=True, editable=False)
    sync_held = models.PositiveIntegerField(default=0, editable=False)
    sync_asked = models.CharField(max_length=8, blank=True, choices=SyncAsked.choices, editable=False)
    sync_state = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        ordering = ("order", "name")
        verbose_name_plural = "directories"

    def __str__(self) -> str:
        return self.name
