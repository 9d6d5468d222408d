"""What lies in the CD drive of a machine that runs."""

from typing import Protocol


class Trays(Protocol):
    def change_cd(self, uuid: str, target: str, path: str) -> bool:
        """Put the file `path` into the drive of the running machine, "" takes out what is in; the guest is not asked.

        Whether that is so now: False when its run has no such drive. True when the machine does not run.
        """
        ...
