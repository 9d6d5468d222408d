"""Verbs about people and groups: one module each."""
