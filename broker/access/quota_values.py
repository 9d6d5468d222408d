"""What a quota's settings must be like, and who may set them."""

from typing import Any

from django.db import models

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .actor import Actor
from .models import Quota
from .quota import RESOURCES
from .require import require

MOST = 10**9
LIMITS = tuple(RESOURCES)
SETTINGS = (*LIMITS, "mode", "threshold_percent", "grace_percent")
_PERCENTS = {"threshold_percent": 100, "grace_percent": 1000}


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
            most = _PERCENTS.get(name, MOST)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise Invalid(
                    N_("This is no number from 0 to %(most)s."), field=name, fix=N_("Type a whole number."), most=most
                )
    return values


def ensure_limits_something(quota: Quota) -> None:
    """Raise Invalid for a quota without any limit: it would look like one and be none."""
    if all(getattr(quota, name) is None for name in LIMITS):
        raise Invalid(
            N_("A quota limits something."), field=LIMITS[0], fix=N_("Set at least one limit, or remove the quota.")
        )


def said(quota: Quota) -> str:
    """The limits and the mode for an event: "vcpus 8, running 2 (enforced)"."""
    limits = ", ".join(f"{name} {value}" for name in LIMITS if (value := getattr(quota, name)) is not None)
    return f"{limits} ({quota.mode})"
