"""What steps of plans have in common: their machine, its host, what is made ready once, what is told at the end."""

from collections.abc import Callable
from typing import Any, TypeVar

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Step
from broker.jobs.runner import JobActor
from broker.virt.driver import HostConnection, NetworkSpec, NotFound, Observation, StorageSpec

from . import hosts, pending, queries, screen_wishes, specs
from .models import Disk, Host, StorageDomain, VirtualMachine
from .observe import apply

T = TypeVar("T")
ENSURED_FOR = 20.0  # seconds for which storage and networks made ready are believed to be there

_ensured: dict[tuple[object, StorageSpec | NetworkSpec], float] = {}


def machine(ctx: Context) -> VirtualMachine:
    """The job's machine with all that a definition needs, as it is now."""
    return queries.whole_machine(ctx.job.subject_id)


def kept_machine(ctx: Context) -> VirtualMachine:
    """The machine as this attempt read it first, for plans whose steps write what they change into it, too."""
    if "machine" not in ctx.kept:
        ctx.kept["machine"] = machine(ctx)
    vm: VirtualMachine = ctx.kept["machine"]
    return vm


def host_of(vm: VirtualMachine) -> Host:
    """The machine's host; raises Conflict when it never had one."""
    if vm.host is None:
        raise Conflict(
            N_("%(name)s is on no host yet."),
            rule="power.host",
            fix=N_("Start it: a host is then chosen for it."),
            name=vm.name,
        )
    return vm.host


def line(ctx: Context, vm: VirtualMachine) -> HostConnection:
    """The guarded line to the machine's host."""
    return hosts.guarded(ctx, host_of(vm))


def ensure_network(ctx: Context, host: Host, spec: NetworkSpec) -> None:
    """Have the network on the host; asked once in a while only."""
    if not _fresh(host, spec):
        hosts.guarded(ctx, host).ensure_network(spec)
        _ensured[(host.pk, spec)] = clock.steady()


def ensure_storage(ctx: Context, host: Host, storage: StorageDomain) -> None:
    """Make the storage ready and have it answer now: where one hangs, a start of QEMU would hold up all of libvirtd."""
    spec = specs.storage_spec(storage)
    hosts.guarded(ctx, host).ensure_storage(spec)
    _ensured[(host.pk, spec)] = clock.steady()


def with_storage(
    ctx: Context, host: Host, storage: StorageDomain, work: Callable[[HostConnection, StorageSpec], T]
) -> T:
    """Do `work` on the storage, which is made ready first; if it vanished meanwhile, once more."""
    connection, spec = hosts.guarded(ctx, host), specs.storage_spec(storage)
    if _fresh(host, spec):
        try:
            return work(connection, spec)
        except NotFound:
            _ensured.pop((host.pk, spec), None)
    connection.ensure_storage(spec)
    _ensured[(host.pk, spec)] = clock.steady()
    return work(connection, spec)


def delete_volume(ctx: Context, host: Host, storage: StorageDomain, volume: str, *, wipe: bool) -> None:
    """Remove a volume; done when it is gone already. `wipe`: overwrite it first (wiping.py)."""
    if wipe:

        def told(share: float) -> None:
            ctx.progress(share, N_("Overwriting %(volume)s with zeroes"), volume=volume)

        with_storage(ctx, host, storage, lambda line, spec: line.wipe_volume(spec, volume, progress=told))
    with_storage(ctx, host, storage, lambda line, spec: line.delete_volume(spec, volume))


def has_volume(ctx: Context, host: Host, storage: StorageDomain, volume: str) -> bool:
    return with_storage(ctx, host, storage, lambda line, spec: line.volume(spec, volume)) is not None


def _fresh(host: Host, spec: StorageSpec | NetworkSpec) -> bool:
    since = _ensured.get((host.pk, spec))
    return since is not None and clock.steady() - since < ENSURED_FOR


def define(ctx: Context, vm: VirtualMachine, *, without: Disk | None = None) -> Observation:
    """Write the machine's definition on its host, with its networks; looking at it makes its digest ours."""
    host, connection = host_of(vm), line(ctx, vm)
    for nic in vm.nics.all():
        ensure_network(ctx, host, specs.network_spec(nic.network))
    connection.define(specs.machine_spec(vm, without=without, screen=screen_wishes.wanted(vm)))
    return observe(ctx, vm)


def cut_power(host: HostConnection, uuid: str) -> None:
    """Off it is afterwards, without saved memory; a machine the host does not know is off."""
    try:
        host.power_off(uuid)
        host.discard_saved(uuid)
    except NotFound:
        pass


def observe(ctx: Context, vm: VirtualMachine) -> Observation:
    """Look at the machine and write down what was seen, without waiting for the monitor."""
    host = host_of(vm)
    seen = hosts.guarded(ctx, host).observe_one(str(vm.pk))
    apply(host, [seen])
    return seen


def tell(ctx: Context, vm: VirtualMachine, kind: str, message: str, *, severity: str = "info", **params: Any) -> None:
    """Record the event for whom the job runs, and remember that it was told: `told` is the probe to it."""
    with ctx.write():
        ctx.save(told=[*ctx.args.get("told", []), kind])
        record(kind, actor=JobActor(ctx.job), subject=vm, message=message, severity=severity, name=vm.name, **params)
        publish("vm", vm.pk, kind)


def told(kind: str) -> Callable[[Context], bool]:
    """A probe: whether `tell` was done with `kind`."""
    return lambda ctx: kind in ctx.args.get("told", [])


def start_if_asked(ctx: Context, failure: str) -> None:
    """The last step of what may end with a start; that it did not start is told with `failure`, and harms nothing."""
    if not ctx.args.get("start"):
        return
    vm = machine(ctx)
    try:
        if pending.is_off(vm) and pending.fold(vm):
            define(ctx, machine(ctx))
        line(ctx, vm).start(str(vm.pk))
        observe(ctx, vm)
    except BerthError as error:
        tell(ctx, vm, "vm.not-started", failure, severity="warning", cause=error, explanation=error.as_dict())
        return
    tell(ctx, vm, "vm.started", N_("%(name)s was started on %(host)s"), host=vm.host)


def power_step(
    name: str, title: str, act: Callable[[HostConnection, str], None], *, event: str, message: str, no_undo: str
) -> Step:
    """The one step of a plain power plan: act, look, tell."""

    def do(ctx: Context) -> None:
        vm = machine(ctx)
        act(line(ctx, vm), str(vm.pk))
        observe(ctx, vm)
        tell(ctx, vm, event, message)

    return Step(name, do, title, probe=told(event), no_undo=no_undo)
