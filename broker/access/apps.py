"""App: who may do what to which object."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    name = "broker.access"

    def ready(self) -> None:
        from .kinds import register

        register("job", "jobs.Job", owner="actor_id", owner_verbs=("job.view", "job.cancel"))
        register("event", "events.Event", owner="actor_id", owner_verbs=("event.view",))
        register("quota", "access.Quota", {"cluster": "cluster_id"}, owner="user_id", owner_verbs=("quota.view",))
        post_migrate.connect(_sync_roles, sender=self)


def _sync_roles(**kwargs: Any) -> None:
    from .roles import sync_builtin_roles

    sync_builtin_roles()
