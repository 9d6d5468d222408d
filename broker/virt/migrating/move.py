"""One move under way, as its job knows it: the two hosts, what they say of the machine, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet
from broker.virt import hosts, work
from broker.virt.driver import DriverError, HostUnreachable, MigrationStats, Observation, SavedPoints
from broker.virt.models import Disk, Host, StorageDomain, VirtualMachine

from .decide import Verdict, decide
from .policies import POLICIES, Policy, Rules


@dataclass(frozen=True, slots=True)
class Move:
    """The machine and the two hosts of a job that has chosen its target."""

    vm: VirtualMachine
    source: Host
    target: Host
    rules: Rules
    policy: Policy
    copies: list[tuple[Disk, StorageDomain]]

    @property
    def uuid(self) -> str:
        return str(self.vm.pk)


def move_of(ctx: Context) -> Move:
    vm, args = work.machine(ctx), ctx.args
    both = Host.objects.in_bulk([args["source"], args["target"]])
    rules = Rules.of(vm.cluster.migration)
    storages = StorageDomain.objects.in_bulk(args["copies"].values())
    copies = [
        (disk, storages[UUID(args["copies"][str(disk.pk)])])
        for disk in vm.disks.all()
        if str(disk.pk) in args["copies"]
    ]
    source, target = both[UUID(args["source"])], both[UUID(args["target"])]
    return Move(vm, source, target, rules, policy_of(ctx, rules), copies)


def policy_of(ctx: Context, rules: Rules) -> Policy:
    return POLICIES[ctx.args.get("policy") or rules.policy]


def points_of(ctx: Context) -> SavedPoints:
    kept: dict[str, Any] = ctx.args.get("points") or {}
    return SavedPoints(tuple(kept.get("snapshots", ())), kept.get("current", ""), tuple(kept.get("checkpoints", ())))


def stats_of(ctx: Context, move: Move) -> MigrationStats | None:
    try:
        stats = hosts.guarded(ctx, move.source).migration(move.uuid)
    except HostUnreachable:
        return None
    except DriverError as error:
        ctx.save(cause=str(error.params.get("reason") or error))
        return None
    if stats is not None and ctx.args.get("quiet_since"):
        ctx.save(quiet_since="")
    return stats


def settle(ctx: Context, move: Move) -> Verdict:
    """What became of it; raises NotYet while that is open."""
    if not ctx.args.get("quiet_since"):
        ctx.save(quiet_since=clock.now().isoformat())
    quiet = (clock.now() - datetime.fromisoformat(ctx.args["quiet_since"])).total_seconds()
    verdict = decide(look(ctx, move.source, move), look(ctx, move.target, move), quiet)
    match verdict:
        case Verdict.WAIT:
            raise NotYet(0.3 if quiet < 5 else 2.0, N_("Waiting for both hosts to say where it is"))
        case Verdict.END_SOURCE:
            work.cut_power(hosts.guarded(ctx, move.source), move.uuid)
        case Verdict.END_TARGET:
            work.cut_power(hosts.guarded(ctx, move.target), move.uuid)
        case Verdict.RESUME_SOURCE:
            hosts.guarded(ctx, move.source).resume(move.uuid)
        case _:
            return verdict
    raise NotYet(0.3)


def look(ctx: Context, host: Host, move: Move) -> Observation | None:
    try:
        return hosts.guarded(ctx, host).observe_one(move.uuid)
    except HostUnreachable:
        return None
