"""The states to which the API's description gives names, as their columns have them: without labels."""

from enum import StrEnum

from broker.backups.states import BackupState
from broker.connections.states import HelpState, SessionState
from broker.jobs.states import JobState
from broker.virt.states import HostState, ImageState, VersionState, VmState
from pools.states import DesktopState, PoolState


def _choices(states: type[StrEnum]) -> list[str]:
    return [state.value for state in states]


JOB, SESSION, HELP = _choices(JobState), _choices(SessionState), _choices(HelpState)
VM, VERSION, HOST = _choices(VmState), _choices(VersionState), _choices(HostState)
POOL, DESKTOP = _choices(PoolState), _choices(DesktopState)
BACKUP = _choices(BackupState)
IMAGE = _choices(ImageState)
