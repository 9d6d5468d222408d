"""Berth's own certificate authority, what it issued to hosts, and invitations to hosts that are to be added."""

import uuid

from django.conf import settings
from django.db import models

from .cluster import Cluster
from .host import Host


class Authority(models.Model):
    """One row. `secret` is its private key, sealed (pki/authority.py)."""

    certificate = models.TextField()
    secret = models.TextField(editable=False)

    class Meta:
        verbose_name_plural = "authorities"

    def __str__(self) -> str:
        return "Berth CA"


class SshKey(models.Model):
    """One row: the key Berth signs in with on hosts over SSH. `secret` is its private half, sealed (ssh/key.py)."""

    public = models.TextField()
    secret = models.TextField(editable=False)

    class Meta:
        verbose_name = "SSH key"

    def __str__(self) -> str:
        return "Berth's SSH key"


class HostCertificate(models.Model):
    """The certificate a host uses. `warned`: the fewest days before its end of which an event told."""

    host = models.OneToOneField(Host, primary_key=True, on_delete=models.CASCADE, related_name="certificate")
    certificate = models.TextField()
    until = models.DateTimeField()
    warned = models.PositiveSmallIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.host_id} until {self.until:%Y-%m-%d}"


class HostInvitation(models.Model):
    """A code with which one host may enrol, once and soon. `secret` is that code, sealed. `host`: one to enrol anew."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+")
    host = models.ForeignKey(Host, null=True, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=64)
    address = models.CharField(max_length=255)
    secret = models.TextField(editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    until = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
