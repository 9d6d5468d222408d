"""App: console tickets and sessions."""

from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "broker.connections"

    def ready(self) -> None:
        from broker.access.kinds import register
        from broker.virt.screen_wishes import provide

        from .policy import forget_with, screen_parts

        forget_with("vm", "virt.VirtualMachine")
        forget_with("pool", "pools.Pool")
        provide(screen_parts)
        register("recording", "connections.Recording", {"vm": "vm_id"})
