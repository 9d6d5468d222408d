"""Why would this user not get a desktop of this pool? Asked without giving one: see broker.virt.explain."""

from broker.access.actor import Actor
from broker.access.require import may, require
from broker.core.errors import BerthError, Conflict, Denied, NoCapacity, Reason
from broker.core.text import gettext_noop as N_
from broker.core.verdicts import Answer, Line, Table
from broker.directories.models import User
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.driver import PowerState
from broker.virt.explain import MOST_LINES, host_table, tried
from broker.virt.placement import Request, judge
from broker.virt.placement.gather import hosts_of
from broker.virt.states import VmState

from . import silence
from .actions.allocate import allocate
from .bringing_up import Allocation
from .holding import BRINGING_UP
from .models import Desktop, Pool
from .queue import worth_waiting
from .refusals import looked_at
from .states import DesktopState
from .versions import wanted_version

RULES = ("desktop.free", "machine.usable", "job.active", silence.RULE)


def explain_allocation(*, actor: Actor, pool: Pool, user: User) -> Answer:
    """What Connect would come to for `user` now, with what each rule says of each desktop and host.

    For who manages the pool. Raises Missing or Denied.
    """
    require(actor, "pool.manage", pool)
    tables = (_desktops(pool, user), *_hosts(pool))
    as_user = Actor.for_user(user)
    if refusal := _not_entitled(as_user, user, pool):
        return Answer(refusal=refusal, tables=tables)
    given, refused = tried(lambda: allocate(actor=as_user, pool=pool))
    if refused is not None:
        if isinstance(refused, NoCapacity) and worth_waiting(pool):
            refused.helps = (N_("The user would wait in the queue until one becomes free."), *refused.helps)
        return Answer(refusal=refused, tables=tables)
    assert isinstance(given, Allocation)
    params = (("user", user.username), ("name", given.desktop.vm.name))
    if given.state == "ready":
        return Answer(N_("%(user)s would get %(name)s at once."), params, tables=tables)
    return Answer(N_("%(user)s would get %(name)s, which would have to be started."), params, tables=tables)


def disabled(user: User) -> BerthError | None:
    """The refusal of somebody who cannot even sign in."""
    if user.is_active:
        return None
    return Conflict(
        N_("%(user)s is disabled."), rule="user.active", fix=N_("Enable the user first."), user=user.username
    )


def _not_entitled(as_user: Actor, user: User, pool: Pool) -> BerthError | None:
    """What a stranger is not told, but who manages the pool is."""
    if refusal := disabled(user):
        return refusal
    if not may(as_user, "pool.use", pool):
        return Denied(
            N_("%(user)s has no right to take a desktop of %(pool)s."),
            rule="access.right",
            fix=N_("Add the user, or one of the user's groups, on the page of the pool."),
            user=user.username,
            pool=str(pool),
        )
    return None


def _desktops(pool: Pool, user: User) -> Table:
    """The desktops, those that would do first: two queries."""
    rows = list(Desktop.objects.filter(pool=pool).select_related("vm__host", "holder").order_by("number"))
    jobs = Job.objects.filter(subject_kind="vm", subject_id__in=[row.pk for row in rows], state__in=sorted(ACTIVE))
    busy = {job.subject_id: job for job in jobs}
    lines = [_line(row, busy.get(row.pk), user) for row in rows]
    return Table.of("vm", RULES, sorted(lines, key=lambda line: bool(line.refusals)), most=MOST_LINES)


def _line(row: Desktop, job: Job | None, user: User) -> Line:
    vm, refusals = row.vm, []
    note = N_("runs") if vm.power_state == PowerState.RUNNING else ""
    if row.holder_id == user.pk:
        note = N_("is the user's own")
    elif row.state != DesktopState.FREE:
        said = looked_at(row)
        refusals.append(
            Reason(said.subject, RULES[0], said.template, kind="vm", id=row.pk, words=said.words, **said.params)
        )
    if vm.state != VmState.READY:
        refusals.append(_reason(row, RULES[1], N_("its machine is %(state)s"), N_("not whole"), state=vm.state))
    if job is not None and job.plan not in BRINGING_UP:
        refusals.append(_reason(row, RULES[2], N_("“%(job)s” works on it"), N_("a job works on it"), job=job.title))
    elif job is not None:
        note = note or N_("is being started")
    if silent := silence.said_of(row):
        refusals.append(silent)
    return Line("vm", str(row.pk), vm.name, tuple(refusals), note)


def _reason(row: Desktop, rule: str, message: str, words: str, **params: str) -> Reason:
    return Reason(row.vm.name, rule, message, kind="vm", id=row.pk, words=words, **params)


def _hosts(pool: Pool) -> tuple[Table, ...]:
    """What placement would say of each host for one more desktop."""
    version = wanted_version(pool)
    if version is None:
        return ()
    request = Request(
        cluster=pool.cluster_id,
        memory_mib=version.memory_mib,
        storages=frozenset({pool.storage_id or version.storage_id, version.storage_id}),
    )
    return (host_table(judge(request, hosts_of(pool.cluster_id, asked=request))),)
