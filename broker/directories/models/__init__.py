"""Directory, User, Group, Membership, second factors, the throttle's memory, and answers that count once."""

from .answers import ProviderAnswer
from .directory import Directory, SyncAsked
from .group import Group, Membership
from .second_factor import RecoveryCode, SecondFactor
from .tries import KnownPlace, TryCount
from .user import User

__all__ = [
    "Directory", "Group", "KnownPlace", "Membership", "ProviderAnswer", "RecoveryCode", "SecondFactor", "SyncAsked",
    "TryCount", "User",
]  # fmt: skip
