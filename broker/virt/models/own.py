"""What people note on machines: tags to find them by, and fields of their own."""

from django.db import models

from .machine import VirtualMachine


class Tag(models.Model):
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=64)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("vm", "name"), name="tag_once_on_a_machine"),)
        indexes = (models.Index(fields=("name",)),)

    def __str__(self) -> str:
        return self.name


class OwnField(models.Model):
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="own_fields")
    name = models.CharField(max_length=64)
    value = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("vm", "name"), name="own_field_once_on_a_machine"),)
        indexes = (models.Index(fields=("name", "value")),)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
