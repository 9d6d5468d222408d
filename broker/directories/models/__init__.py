"""Directory, User, Group, Membership, second factors, and what the throttle of sign-ins remembers."""

from .directory import Directory, SyncAsked
from .group import Group, Membership
from .second_factor import RecoveryCode, SecondFactor
from .tries import KnownPlace, TryCount
from .user import User

__all__ = [
    "Directory", "Group", "KnownPlace", "Membership", "RecoveryCode", "SecondFactor", "SyncAsked", "TryCount", "User",
]  # fmt: skip
