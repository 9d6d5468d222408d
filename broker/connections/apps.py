"""App: console tickets and sessions."""

from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "broker.connections"

    def ready(self) -> None:
        from broker.access.kinds import register

        from .policy import forget_with

        forget_with("vm", "virt.VirtualMachine")
        forget_with("pool", "pools.Pool")
        register("recording", "connections.Recording", {"vm": "vm_id"})
