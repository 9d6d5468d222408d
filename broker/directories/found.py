"""What a directory tells of people and groups, whatever its kind."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the directory has them now. `must_change`: the password is over; who is signed in goes on."""

    id: str
    username: str
    display_name: str
    email: str
    may_sign_in: bool
    changed: str = ""
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class GroupFound:
    """A group as the directory names it."""

    id: str
    name: str
