"""Do what sizing planned: each thing in a savepoint of its own, so that one refusal spoils nothing else."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from broker import sql
from broker.core import clock
from broker.core.errors import BerthError, Busy, Conflict, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.driver import PowerState
from broker.virt.models import ForeignMachine, TemplateVersion, VirtualMachine

from .models import Desktop, Pool
from .naming import free_names, prefix_of
from .sizing import Plan
from .states import DESKTOP
from .storage import Chooser
from .trouble import builder
from .versions import versions_of

log = logging.getLogger(__name__)


def carry_out(pool: Pool, plan: Plan, desktops: Iterable[Desktop]) -> dict[str, Any] | None:
    """Write and enqueue; returns the first refusal as BerthError.as_dict(), or None. Call inside a transaction."""
    if plan.restful:
        return None
    rows = {row.pk: row for row in desktops}
    actor, versions = builder(pool), versions_of(pool)
    refused: list[BerthError] = []

    def each(ids: Iterable[UUID], act: Callable[[Desktop], Any]) -> None:
        for pk in ids:
            _try(partial(act, rows[pk]), refused)

    def stop(row: Desktop) -> None:
        # Nobody works in it. A stateless one loses nothing; a stateful one is asked.
        _untouched(row)
        asked = pool.stateful and row.vm.power_state != PowerState.SUSPENDED
        (shutdown_vm if asked else power_off_vm)(actor=actor, vm=row.vm)

    def suspend(row: Desktop) -> None:
        _untouched(row)
        suspend_vm(actor=actor, vm=row.vm)

    def reset(row: Desktop, start: bool) -> None:
        reset_disks(actor=actor, vm=row.vm, version=versions.for_reset(row), start=start, refit=True)

    each(plan.retire, lambda row: _retire(pool, row))
    each(plan.delete, lambda row: delete_vm(actor=actor, vm=row.vm))
    each(plan.reset_running, lambda row: reset(row, start=True))
    each(plan.reset, lambda row: reset(row, start=False))
    each(plan.start, lambda row: start_vm(actor=actor, vm=row.vm))
    each(plan.suspend, suspend)
    each(plan.stop, stop)
    if plan.build:
        _try(lambda: build(pool, plan.build, plan.build_running, versions.for_build()), refused)
    return refused[0].as_dict() if refused else None


def build(pool: Pool, count: int, running: int, version: TemplateVersion | None) -> None:
    """Begin `count` desktops, the first `running` of them to be started. Raises BerthError."""
    if version is None:
        raise Conflict(
            N_("The template %(template)s has no version that is ready."),
            rule="version.ready",
            fix=N_("Import an image for it, or wait until that is done."),
            template=str(pool.template),
        )
    numbers = set(Desktop.objects.filter(pool=pool).values_list("number", flat=True))
    prefix = prefix_of(pool.name, pool.name_pattern)
    taken = set(VirtualMachine.objects.filter(name__startswith=prefix).values_list("name", flat=True))
    taken |= set(ForeignMachine.objects.filter(name__startswith=prefix).values_list("name", flat=True))
    free = free_names(pool.name, pool.name_pattern, numbers=numbers, names=taken)
    chooser = None if pool.storage else Chooser(pool.cluster, version)
    for index in range(count):
        number, name = next(free, (0, ""))
        if not number:
            raise Conflict(
                N_("All names of the pool %(pool)s are taken."),
                rule="pool.names",
                fix=N_("Give it another pattern for names."),
                pool=str(pool),
            )
        try:
            storage = chooser.next() if chooser else pool.storage
        except NoCapacity:
            if index:
                return  # what there is room for is made; the next pass says why there is no more
            raise
        job = create_vm(
            actor=builder(pool), name=name, version=version, storage=storage,
            network=pool.network,
            title=f"{pool.title} {number}"[:128], start=index < running,
        )  # fmt: skip
        sql.add(Desktop(vm_id=job.subject_id, pool=pool, number=number))
        publish("desktop", job.subject_id, "building")


def _retire(pool: Pool, row: Desktop) -> None:
    """Out of reach first; its machine is deleted in the same transaction, or by a later pass."""
    DESKTOP.move(row, "retire", changed_at=clock.now(), failures=0)
    publish("desktop", row.pk, "retiring")
    delete_vm(actor=builder(pool), vm=row.vm)


def _untouched(row: Desktop) -> None:
    """Take the free desktop's row, so that it is not handed out while it is being stopped."""
    rows = Desktop.objects.filter(pk=row.pk, state__in=DESKTOP.sets["available"])
    if not rows.update(failures=row.failures):
        raise Busy(N_("%(name)s was just taken."), fix=N_("Nothing needs to be done."), name=row.vm.name)


def _try(act: Callable[[], Any], refused: list[BerthError]) -> None:
    try:
        with transaction.atomic():
            act()
    except Busy as error:
        log.debug("Left for the next pass: %s", error)
    except BerthError as error:
        log.warning("A pool's desktop: %s", error)
        refused.append(error)
