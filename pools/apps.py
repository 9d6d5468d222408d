"""App: desktop pools."""

from django.apps import AppConfig


class PoolsConfig(AppConfig):
    name = "pools"

    def ready(self) -> None:
        from broker.access.kinds import register

        from . import plans

        register("pool", "pools.Pool", {"cluster": "cluster_id"})
        plans.load()
