"""Verbs about rights and jobs: one module each."""
