"""App: backups of machines."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "broker.backups"

    def ready(self) -> None:
        from broker.access.kinds import register

        from . import plans

        register("backup", "backups.Backup", {"vm": "vm_id", "cluster": "target__cluster_id"})
        plans.load()
