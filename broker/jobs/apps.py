"""App: long work that survives its workers."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "broker.jobs"
