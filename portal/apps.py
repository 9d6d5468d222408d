"""App: every door over HTTP."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from . import tokens  # noqa: F401 - importing it subscribes
