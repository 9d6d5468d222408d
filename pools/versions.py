"""Which template version a pool's desktops are to be of: what the pool says, and what its rollout allows now."""

from dataclasses import dataclass

from broker.sql import Given, Statement
from broker.virt.models import TemplateVersion
from broker.virt.states import VERSION, VersionState

from .models import Desktop, Pool, Rollout
from .states import ROLLOUT, RolloutState


def wanted_version(pool: Pool) -> TemplateVersion | None:
    """The pinned one, else the template's newest ready one."""
    if pool.version_id:
        return pool.version
    return next(iter(_NEWEST.objects(template=pool.template_id)), None)


_NEWEST = Statement(
    lambda: (
        TemplateVersion.objects.filter(template=Given("template"), state=VersionState.READY)
        .select_related("template__cluster", "storage")
        .order_by("-number")[:1]
    )
)


def open_rollout(pool: Pool) -> Rollout | None:
    """The one that is under way or stopped: one query."""
    return next(iter(_OPEN.objects(pool=pool.pk)), None)


_OPEN = Statement(
    lambda: (
        Rollout.objects.filter(pool=Given("pool"), state__in=sorted(ROLLOUT.sets["open"])).select_related(
            "version__template", "previous__template__cluster", "previous__storage"
        )
    )[:1]
)


@dataclass(frozen=True, slots=True)
class Versions:
    """`wanted` is where the pool is going; while `stopped`, what is made or reset stays what it was."""

    wanted: TemplateVersion | None
    stopped: Rollout | None = None

    def for_build(self) -> TemplateVersion | None:
        previous = self.stopped.previous if self.stopped else None
        return previous if previous is not None and VERSION.is_(previous.state, "usable") else self.wanted

    def for_reset(self, desktop: Desktop) -> TemplateVersion | None:
        own = desktop.vm.template_version if self.stopped else None
        return own if own is not None and VERSION.is_(own.state, "usable") else self.wanted


def versions_of(pool: Pool) -> Versions:
    """Read it now: two queries."""
    rollout = open_rollout(pool)
    return Versions(wanted_version(pool), rollout if rollout and rollout.state == RolloutState.PAUSED else None)
