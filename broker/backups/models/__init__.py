"""The rows of this app."""

from .backup import Backup as Backup
from .backup import BackupDisk as BackupDisk
from .schedule import BackupSchedule as BackupSchedule
from .target import BackupTarget as BackupTarget
