"""Directory, User, Group, Membership, and what the throttle of sign-ins remembers."""

from .directory import Directory, SyncAsked
from .group import Group, Membership
from .tries import KnownPlace, TryCount
from .user import User

__all__ = ["Directory", "Group", "KnownPlace", "Membership", "SyncAsked", "TryCount", "User"]
