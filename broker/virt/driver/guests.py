"""Commands run inside a guest by its agent."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GuestRun:
    """How a command in a guest ended: its exit code, and the beginning of what it said."""

    code: int
    output: str = ""


class GuestCommands(Protocol):
    def begin_in_guest(self, uuid: str, script: str) -> str:
        """Have the guest agent run a shell script as root; returns what to ask `ended_in_guest` with.

        Raises Refused without an agent that does this.
        """
        ...

    def ended_in_guest(self, uuid: str, run: str) -> GuestRun | None:
        """How the script ended, None while it runs. An end is told once."""
        ...
