"""App: console tickets and sessions."""

from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "broker.connections"
