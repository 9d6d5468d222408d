"""The Django admin: the back office. Everything it changes goes through the actions that the pages call.

Django imports this package when it looks for admin modules; the imports below register the models.
"""

from . import (
    backups,
    devices,
    disks,
    images,
    infrastructure,
    instance_types,
    machines,
    people,
    pools,
    quotas,
    records,
    rollouts,
)
from .site import site

__all__ = [
    "backups", "devices", "disks", "images", "infrastructure", "instance_types", "machines", "people", "pools",
    "quotas", "records", "rollouts", "site",
]  # fmt: skip
