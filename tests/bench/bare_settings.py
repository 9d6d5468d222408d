"""Berth's settings with nothing in the way of a request but the session."""

from broker.settings import *  # noqa: F403 - a settings module

MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
ROOT_URLCONF = "tests.bench.bare"
