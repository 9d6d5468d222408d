"""Which consumer answers which websocket path."""

from django.urls import path

from .consumer import News

websocket_urlpatterns = [path("live/", News.as_asgi())]
