"""App: what happened (Event) and telling those who listen."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "broker.events"
