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
        from .back_office_names import translate_names

        checks.register(branding.check)
        translate_names()
