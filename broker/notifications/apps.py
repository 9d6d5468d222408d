"""App: notifications by mail and webhook."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "broker.notifications"
