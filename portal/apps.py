"""App: every door over HTTP."""

from django.apps import AppConfig
from django.core import checks


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from . import (
            branding,
            tokens,  # noqa: F401 - importing it subscribes
        )

        checks.register(branding.check)
