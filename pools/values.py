"""What may be asked of a pool: every value of its form, checked once, here."""

import re
from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import names
from broker.virt.models import Network, StorageDomain, TemplateVersion, VmTemplate
from broker.virt.states import VERSION
from broker.virt.storage_rules import require_files

from .calendar import checked_hours, checked_schedule, checked_zone
from .models import Pool
from .models.pool import LARGEST
from .naming import check_pattern

MOST_PER_USER = 100
READINESS = frozenset({"suspended", "zone", "schedule", "hours", "after_hours", "forecast", "protected"})
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


def checked(**values: Any) -> dict[str, Any]:
    """The values as they may be written; raises Invalid naming the field, and Conflict for an unusable version.

    Known: all but references to other rows, which pass.
    """
    return {field: _CHECKS[field](value) if field in _CHECKS else value for field, value in values.items()}


def known(values: dict[str, Any]) -> dict[str, Any]:
    """`values` if they are all about how a pool keeps ready; raises Invalid naming one that is not."""
    if unknown := sorted(values.keys() - READINESS):
        raise Invalid(
            N_("A pool has nothing called “%(what)s”."), field=unknown[0], fix=N_("Leave it out."), what=unknown[0]
        )
    return values


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid(
            N_("This name cannot be used."),
            field="name",
            fix=N_("Use 1 to 40 lower-case letters a-z, digits and “-”; begin and end with a letter or a digit."),
        )
    return value


def _text(check: Any, field: str) -> Any:
    def checked_text(value: Any) -> str:
        if not isinstance(value, str):
            raise Invalid(N_("This is not a text."), field=field, fix=N_("Give a text."))
        return str(check(value, field=field))

    return checked_text


def _kind(value: Any) -> str:
    if value not in Pool.Kind.values:
        raise Invalid(N_("There is no such kind of pool."), field="kind", fix=N_("Choose automatic or manual."))
    return str(value)


def _after_hours(value: Any) -> str:
    if value not in Pool.AfterHours.values:
        raise Invalid(N_("There is no such rule."), field="after_hours", fix=N_("Choose keep or warn."))
    return str(value)


def _flag(field: str) -> Any:
    def checked_flag(value: Any) -> bool:
        if not isinstance(value, bool):
            raise Invalid(N_("This is neither yes nor no."), field=field, fix=N_("Give true or false."))
        return value

    return checked_flag


_CHECKS: dict[str, Any] = {
    "name": _name,
    "title": _text(names.title, "title"),
    "description": _text(names.description, "description"),
    "kind": _kind,
    "stateful": _flag("stateful"),
    "forecast": _flag("forecast"),
    "protected": _flag("protected"),
    "zone": checked_zone,
    "hours": checked_hours,
    "schedule": lambda value: checked_schedule(value, largest=LARGEST),
    "after_hours": _after_hours,
    "size": lambda value: names.number(value, field="size", least=0, most=LARGEST),
    "prestarted": lambda value: names.number(value, field="prestarted", least=0, most=LARGEST),
    "suspended": lambda value: names.number(value, field="suspended", least=0, most=LARGEST),
    "max_per_user": lambda value: names.number(value, field="max_per_user", least=1, most=MOST_PER_USER),
    "name_pattern": check_pattern,
}


def check_together(
    *,
    template: VmTemplate,
    version: TemplateVersion | None,
    storage: StorageDomain | None,
    network: Network | None,
    size: int,
    prestarted: int,
    suspended: int = 0,
) -> None:
    """What only together can be wrong; raises Invalid or Conflict."""
    if prestarted > size:
        raise Invalid(
            N_("No more desktops can be prestarted than the pool has."),
            field="prestarted",
            fix=N_("Use at most %(size)s."),
            size=size,
        )
    if suspended > size - prestarted:
        raise Invalid(
            N_("No more desktops can wait running or suspended than the pool has."),
            field="suspended",
            fix=N_("Use at most %(most)s."),
            most=size - prestarted,
        )
    if version is not None and version.template_id != template.pk:
        raise Invalid(
            N_("%(version)s is no version of %(template)s."), field="version", fix=N_("Choose one of the template's."),
            version=str(version), template=str(template),
        )  # fmt: skip
    for field, thing in (("storage", storage), ("network", network)):
        if thing is not None and thing.cluster_id != template.cluster_id:
            raise Invalid(
                N_("%(name)s belongs to another cluster."),
                field=field,
                fix=N_("Choose one of the template's cluster."),
                name=thing.name,
            )
    if storage is not None:
        require_files(storage)  # desktops are overlays on the template's image
    if version is not None and not VERSION.is_(version.state, "usable"):
        raise Conflict(
            N_("%(version)s is %(state)s."), rule="version.usable",
            fix=N_("Wait until it is ready, or choose another version."),
            version=str(version), state=version.state,
        )  # fmt: skip
