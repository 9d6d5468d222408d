"""App: backups of machines."""

from django.apps import AppConfig
from django.conf import settings


class BackupsConfig(AppConfig):
    name = "broker.backups"

    def ready(self) -> None:
        from broker.access.kinds import register
        from broker.virt.leftovers import register_keeper

        from . import plans
        from .places import files_on

        register("backup", "backups.Backup", {"vm": "vm_id", "cluster": "target__cluster_id"})
        register_keeper(files_on)
        if settings.LOAD_PLANS:
            plans.load()
