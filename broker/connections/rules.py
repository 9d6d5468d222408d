"""The numbers of consoles, in one place."""

from datetime import timedelta

TICKET_LIFE = timedelta(seconds=30)
TICKETS_WAITING = 20
"""Unused tickets one user may hold; a page that reconnects in a loop must not fill the table."""
SESSIONS_PER_USER = 10
SESSIONS_PER_VM = 8
GATEWAY_SILENT = timedelta(seconds=45)
"""A gateway vouches for its sessions every ten seconds; after this long without, it is gone."""
USED_TICKETS_KEPT = timedelta(hours=1)
