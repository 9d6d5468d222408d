"""The life of a backup."""

from enum import StrEnum

from broker.core.states import Machine, transition
from broker.core.text import gettext_noop as N_


class BackupState(StrEnum):
    MAKING = "making"
    READY = "ready"
    BROKEN = "broken"
    DELETING = "deleting"


BACKUP = Machine(
    name="backup",
    states=BackupState,
    initial=BackupState.MAKING,
    transitions={
        "made": transition("making", BackupState.READY),
        "spoil": transition("ready", BackupState.BROKEN),
        "heal": transition("broken", BackupState.READY),
        "delete": transition("making ready broken", BackupState.DELETING),
    },
    meanings={
        BackupState.MAKING: N_("The disks are being copied."),
        BackupState.READY: N_("It is whole, and can be restored."),
        BackupState.BROKEN: N_("Its files are not what was written; it can be looked at again or deleted."),
        BackupState.DELETING: N_("Its files are being removed; the row goes last."),
    },
    unstable={
        BackupState.MAKING: "Its backup.make job ends it; without one the duty deletes what there is.",
        BackupState.DELETING: "Its backup.delete job ends it; the duty begins another when there is none.",
    },
    ends=frozenset({BackupState.MAKING, BackupState.DELETING}),
    sets={
        "usable": frozenset({BackupState.READY}),
        "checkable": frozenset({BackupState.READY, BackupState.BROKEN}),
        "deletable": frozenset({BackupState.READY, BackupState.BROKEN}),
    },
)
