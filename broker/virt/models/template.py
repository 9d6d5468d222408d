"""VmTemplate: what machines are made from. TemplateVersion: one state of it, an image and its hardware."""

import uuid

from django.db import models

from broker.core import clock
from broker.virt.states import VersionState

from .cluster import Cluster
from .storage import StorageDomain


class VmTemplate(models.Model):
    access_kind = "template"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="templates")
    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    os_name = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """`volume` is the image's name on `storage`; machines made as linked clones keep it as their backing file.

    `options`: the hardware beyond its size that machines made from it get, by the names in machine_options.py.
    `made_from` names the machine it was made from, empty for an imported one. `sealing` says how that went, as
    sealing.seal.Report gives it: `outcome` (sealed, partly, unsealed; empty: nobody asked) and sentences in `left`.
    """

    access_kind = "template-version"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    template = models.ForeignKey(VmTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    notes = models.TextField(blank=True)
    state = models.CharField(max_length=12, default=VersionState.BUILDING, choices=[(s, s) for s in VersionState])
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="template_versions")
    volume = models.CharField(max_length=128)
    size_bytes = models.PositiveBigIntegerField(default=0)
    vcpus = models.PositiveSmallIntegerField(default=1)
    memory_mib = models.PositiveIntegerField(default=1024)
    machine = models.CharField(max_length=16, default="q35", choices=[("q35", "q35"), ("pc", "pc")])
    graphics = models.JSONField(default=list)
    options = models.JSONField(default=dict, blank=True)
    made_from = models.CharField(max_length=64, blank=True, editable=False)
    sealing = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("template", "-number")
        constraints = (models.UniqueConstraint(fields=("template", "number"), name="version_number_once"),)

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"

    @property
    def unsealed_volume(self) -> str:
        """The name of the copy that is not sealed yet, while the version is being made."""
        return f"unsealed-{self.volume}"
