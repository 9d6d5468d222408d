"""App: desktop pools."""

from django.apps import AppConfig


class PoolsConfig(AppConfig):
    name = "pools"

    def ready(self) -> None:
        from broker.access.kinds import register

        from . import news, search, time_to_desktop, unlocking  # noqa: F401 - importing them subscribes or registers

        register("pool", "pools.Pool", {"cluster": "cluster_id"})
        register("meta-pool", "pools.MetaPool")
