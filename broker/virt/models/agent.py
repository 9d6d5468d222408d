"""HostAgent: the agent of a host as the manager knows it."""

from django.db import models

from .host import Host


class HostAgent(models.Model):
    """`secret` is sealed (reports.py). `count`: the number of the last report, the next is higher. `told`: it."""

    host = models.OneToOneField(Host, primary_key=True, on_delete=models.CASCADE, related_name="agent")
    secret = models.TextField(editable=False)
    count = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True)
    told = models.JSONField(default=dict)

    def __str__(self) -> str:
        return str(self.host_id)
