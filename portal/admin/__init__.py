"""The Django admin: the back office. Everything it changes goes through the actions that the pages call.

Django imports this package when it looks for admin modules; the imports below register the models.
"""

from . import (
    availability,
    backups,
    bookings,
    devices,
    disks,
    hardware,
    images,
    infrastructure,
    instance_types,
    machines,
    meta_pools,
    people,
    physical,
    pools,
    quotas,
    records,
    rollouts,
    screens,
    watching,
)
from .site import site

__all__ = [
    "availability", "backups", "bookings", "devices", "disks", "hardware", "images", "infrastructure", "instance_types",
    "machines", "meta_pools",
    "people", "physical", "pools", "quotas", "records", "rollouts", "screens", "site", "watching",
]  # fmt: skip
