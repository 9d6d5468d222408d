"""Disks and machines on their way out: one file an export in a directory of ours, until it is a day old.

The directory lies where uploads arrive, so where web and workers are several machines, they share both.
"""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .models import DiskExport

KEPT_FOR = timedelta(days=1)
PLAN, OVA_PLAN = "vm.export-disk", "vm.export"


def folder() -> Path:
    path = Path(settings.DATA_DIR) / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(pk: UUID | str) -> Path:
    """The whole file."""
    return folder() / str(pk)


def half_path(pk: UUID | str) -> Path:
    """Where it is put together."""
    return folder() / f"{pk}.part"


def remove(pk: UUID | str) -> None:
    for path in (path_of(pk), half_path(pk)):
        path.unlink(missing_ok=True)


def tidy() -> None:
    """The duty: what is a day old goes, and so do files that no row speaks of."""
    files = list(folder().iterdir())  # before the rows: a file never comes before its row
    busy = Job.objects.filter(state__in=sorted(ACTIVE), plan__in=(PLAN, OVA_PLAN)).values_list(
        "args__export", flat=True
    )
    old = Q(ready_at__lt=clock.now() - KEPT_FOR) | Q(ready_at=None, created_at__lt=clock.now() - KEPT_FOR)
    for export in DiskExport.objects.filter(old).exclude(pk__in=list(busy)):
        export.delete()
        remove(export.pk)
    known = {str(pk) for pk in DiskExport.objects.values_list("pk", flat=True)}
    for path in files:
        if path.name.split(".")[0] not in known:
            path.unlink(missing_ok=True)
