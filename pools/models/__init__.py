"""Pool, Desktop, Assignment."""

from .assignment import Assignment
from .desktop import Desktop
from .pool import Pool

__all__ = ["Assignment", "Desktop", "Pool"]
