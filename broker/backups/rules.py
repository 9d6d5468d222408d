"""What a schedule may say: checked once, here, for pages, API and commands alike."""

from datetime import time
from typing import Any
from zoneinfo import available_timezones

from broker.core import clock
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import names
from broker.virt.models import VirtualMachine

from .models import BackupSchedule, BackupTarget
from .retention import next_run

DEFAULTS: dict[str, Any] = {"days": [0, 1, 2, 3, 4, 5, 6], "at": time(2, 0)}
_NUMBERS = {"full_every": (1, 100), "keep_last": (1, 1000), "keep_daily": (0, 366), "keep_weekly": (0, 260),
            "keep_monthly": (0, 120)}  # fmt: skip


def checked(wishes: dict[str, Any]) -> dict[str, Any]:
    """The columns to write. Raises Invalid, also for a wish that there is not."""
    found: dict[str, Any] = {}
    for key, value in wishes.items():
        if key in _NUMBERS:
            least, most = _NUMBERS[key]
            found[key] = names.number(value, field=key, least=least, most=most)
        elif key == "days":
            found[key] = _days(value)
        elif key == "at":
            found[key] = _time(value)
        elif key == "zone":
            found[key] = _zone(value)
        elif key == "enabled":
            found[key] = bool(value)
        else:
            raise Invalid(N_("There is no such setting."), field=key[:32], fix=N_("Look at the API's description."))
    return found


def due(schedule: BackupSchedule) -> Any:
    """When it runs next, None while it is switched off."""
    if not schedule.enabled:
        return None
    return next_run(schedule.days, schedule.at, schedule.zone, clock.now())


def same_cluster(vm: VirtualMachine, target: BackupTarget) -> None:
    if vm.cluster_id != target.cluster_id:
        raise Invalid(
            N_("%(name)s belongs to another cluster."), field="vms",
            fix=N_("Choose machines of the target's cluster."), name=vm.name,
        )  # fmt: skip


def _days(value: Any) -> list[int]:
    fits = isinstance(value, list | tuple | set) and value
    if not fits or any(type(day) is not int or not 0 <= day <= 6 for day in value):
        raise Invalid(
            N_("These are no days of a week."), field="days", fix=N_("Use a list of 0 (Monday) to 6 (Sunday).")
        )
    return sorted(set(value))


def _time(value: Any) -> time:
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, time) or value.tzinfo is not None:
        raise Invalid(N_("This is no time of day."), field="at", fix=N_("Write it like 02:30."))
    return value.replace(second=0, microsecond=0)


def _zone(value: Any) -> str:
    if not isinstance(value, str) or value not in available_timezones() - {"localtime", "Factory"}:
        raise Invalid(N_("There is no such time zone."), field="zone", fix=N_("Write it like Europe/Berlin or UTC."))
    return value
