"""App: long work that survives its workers."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "broker.jobs"

    def ready(self) -> None:
        from . import shared_clock

        shared_clock.begin()
