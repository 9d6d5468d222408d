"""Pools on their way to another template version, in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from broker.access.actor import Actor
from pools.actions.pace_rollout import pace_rollout
from pools.actions.resume_rollout import resume_rollout
from pools.actions.roll_back import roll_back
from pools.actions.stop_rollout import stop_rollout
from pools.models import Rollout

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, GREY, Rows, link
from .site import site


def _stop(*, actor: Actor, rollout: Rollout) -> None:
    stop_rollout(actor=actor, pool=rollout.pool)


def _resume(*, actor: Actor, rollout: Rollout) -> None:
    resume_rollout(actor=actor, pool=rollout.pool)


def _back(*, actor: Actor, rollout: Rollout) -> None:
    roll_back(actor=actor, pool=rollout.pool)


@admin.register(Rollout, site=site)
@with_deeds(
    Deed("stop", _("Stop"), _stop, "rollout", _("No further desktop of the pool is rebuilt for now."), "pause"),
    Deed("resume", _("Go on"), _resume, "rollout", _("Desktops of the pool are rebuilt again."), "play_arrow"),
    Deed(
        "back", _("Roll back"), _back, "rollout",
        _("The pool is pinned to the version before; desktops that went over go back the same way."), "undo",
        destroys=True,
    ),
)  # fmt: skip
class RolloutAdmin(Rows):
    """How many are rebuilt at a time can be changed while it is under way."""

    editable = True
    list_display = ("pool_link", "way", "life", "at_once", "started_at", "ended_at")
    list_filter = (("state", ChoicesDropdownFilter), ("pool", RelatedDropdownFilter))
    search_fields = ("pool__name", "pool__title")
    list_select_related = ("pool",)
    fields = ("at_once",)

    def change_by(self, request: HttpRequest, obj: Rollout, values: dict[str, Any]) -> None:
        pace_rollout(actor=self.actor(request), pool=obj.pool, **values)

    @display(description=_("Pool"), ordering="pool__title")
    def pool_link(self, rollout: Rollout) -> Any:
        return link(rollout.pool)

    @display(description=_("Versions"))
    def way(self, rollout: Rollout) -> str:
        return " → ".join(str(number) for number in rollout.numbers)

    @display(
        description=_("State"), ordering="state", label={"running": BLUE, "paused": AMBER, "done": GREEN, "ended": GREY}
    )
    def life(self, rollout: Rollout) -> str:
        return rollout.state
