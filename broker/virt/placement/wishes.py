"""Whether a host is what an affinity group wants. Pure."""

from uuid import UUID

from .facts import Affinity


def agrees(affinity: Affinity, host: UUID) -> bool:
    """A group that is nowhere yet, or names no hosts, wants nothing."""
    if not affinity.hosts:
        return True
    return (host in affinity.hosts) is affinity.together
