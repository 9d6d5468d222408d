"""What a quota's settings must be like, and who may set them."""

from typing import Any

from django.db import models

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .actor import Actor
from .models import Quota
from .require import require
from .resources import RESOURCES

MOST = 10**9
LIMITS = tuple(RESOURCES)
LONGEST_GRACE = 8760
"""Hours: a year."""
SETTINGS = (*LIMITS, "mode", "threshold_percent", "grace_percent", "grace_hours")
_PERCENTS = {"threshold_percent": (0, 100), "grace_percent": (0, 1000)}
_RANGES = {**_PERCENTS, "grace_hours": (1, LONGEST_GRACE)}


def require_over_quota(actor: Actor, cluster: models.Model | None) -> None:
    """Raise unless the actor may set quotas there; one without a cluster counts everywhere."""
    require(actor, "quota.manage", cluster)


def checked(**values: Any) -> dict[str, Any]:
    """The settings given, checked; None takes a limit away. Raises Invalid naming the field."""
    for name, value in values.items():
        if name not in SETTINGS:
            raise Invalid(
                N_("A quota has no “%(what)s”."), field=name, fix=N_("Use one of: %(names)s."), what=name[:32],
                names=", ".join(SETTINGS),
            )  # fmt: skip
        if name == "mode":
            if value not in Quota.Mode.values:
                raise Invalid(N_("There is no such mode."), field=name, fix=N_("Use off, audit or enforced."))
        elif value is not None or name in _PERCENTS:
            least, most = _RANGES.get(name, (0, MOST))
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise Invalid(
                    N_("This is no number from %(least)s to %(most)s."), field=name, fix=N_("Type a whole number."),
                    least=least, most=most,
                )  # fmt: skip
    return values


def ensure_sound(quota: Quota) -> None:
    """Raise Invalid for a quota without any limit, or with a time over it and no room: it would only look like one."""
    if all(getattr(quota, name) is None for name in LIMITS):
        raise Invalid(
            N_("A quota limits something."), field=LIMITS[0], fix=N_("Set at least one limit, or remove the quota.")
        )

    if quota.grace_hours is not None and not quota.grace_percent:
        raise Invalid(
            N_("A time over the limit needs room over it."),
            field="grace_hours",
            fix=N_("Say how many percent over the limit are let through for so long, or leave the time empty."),
        )


def said(quota: Quota) -> str:
    """The limits and the mode for an event: "vcpus 8, running 2 (enforced)"."""
    limits = ", ".join(f"{name} {value}" for name in LIMITS if (value := getattr(quota, name)) is not None)
    grace = f", {quota.grace_percent} % over it for {quota.grace_hours} h" if quota.grace_hours is not None else ""
    return f"{limits} ({quota.mode}{grace})"
