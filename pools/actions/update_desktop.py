"""Bring one desktop to its pool's template version now, for whoever has it: the user's “restart now”."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.connections.actions import end_sessions_of
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.asking import require_usable
from pools.models import Desktop
from pools.rollout import behind, holding_data
from pools.states import DESKTOP, DesktopState, RolloutState
from pools.trouble import builder
from pools.versions import open_rollout, wanted_version
from pools.wake import wake


@transaction.atomic
def update_desktop(*, actor: Actor, desktop: Desktop, discard: bool = False) -> Desktop:
    """Give it fresh disks of the new version; who has it keeps it and signs in again. Returns the desktop.

    Its holder may, and who manages the pool. Open screens end and unsaved work is lost. Where the pool keeps what
    users leave on their desktops, that is lost as well, and `discard` must say that this is understood.
    Raises Missing, Denied, Busy, or Conflict (no update waits, or data would be lost).
    """
    pool = desktop.pool
    if actor.user_id is None or desktop.holder_id != actor.user_id or not within(actor, "pool.use", pool):
        require(actor, "pool.manage", pool)
    require_usable(desktop.vm)
    rollout, wanted = open_rollout(pool), wanted_version(pool)
    if rollout is None or wanted is None or rollout.state != RolloutState.RUNNING or not behind([desktop], wanted):
        raise Conflict(
            N_("No update waits for %(name)s."), rule="update.waits", about=desktop.vm,
            fix=N_("Nothing needs to be done; it may have been stopped, or be done already."), name=desktop.vm.name,
        )  # fmt: skip
    if desktop.pk in holding_data(pool, [desktop]) and not discard:
        raise Conflict(
            N_("Everything stored on %(name)s would be lost by the update."), rule="update.data", about=desktop.vm,
            fix=N_("Copy what is needed elsewhere, then confirm that the rest may go."), name=desktop.vm.name,
        )  # fmt: skip
    if desktop.state == DesktopState.ASSIGNED:
        end_sessions_of(actor=Actor.system("pools"), vm=desktop.pk)
        reset_disks(actor=builder(pool), vm=desktop.vm, version=wanted, start=True, refit=True)
    else:
        DESKTOP.move(desktop, "reset", changed_at=clock.now(), failures=0)
    record(
        "desktop.updated", actor=actor, subject=desktop,
        message=N_("%(name)s gets version %(number)s now"), name=desktop.vm.name, number=wanted.number,
    )  # fmt: skip
    publish("desktop", desktop.pk, "updating")
    wake(pool.pk)
    return desktop
