"""Directory, User, Group."""

from .directory import Directory
from .group import Group
from .user import User

__all__ = ["Directory", "Group", "User"]
