"""Telling people and programs what happened, by mail and webhook: subscriptions over the sealed events."""
