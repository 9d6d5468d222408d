"""Backups of machines: where they go, when they are made, what they are made of, and back again (docs/backups.md)."""
