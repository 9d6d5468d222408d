"""The only writer of what was observed: `apply` takes what a host said and writes the rows that differ.

When is a row fresh? A full pass that finds nothing new writes one row: `Host.observed_at`. A machine's own
`observed_at` moves only when something about it was written, so what is known of a machine is as fresh as the
later of the two. Both are floors: an observation older than either is not applied. Of two observations of the
same moment the one that arrives later counts.

Rows are locked in the order of their keys (PostgreSQL; SQLite's IMMEDIATE transactions lock everything), looked
at again under the lock, and written in one transaction. While nothing changed nobody waits for anybody.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from broker.core import clock
from broker.events.news import publish
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement, each, given, several, time, write_rows, written

from .driver import MIGRATED, UNEXPLAINED, GuestInfo, Observation, PowerState
from .last_pass import CONDITION, FOREIGN, LastPass
from .models import ForeignMachine, Host, VirtualMachine
from .monitor import surprise
from .states import VM, VmState

HOST_REBOOTED = "host rebooted"
OURS_FOR_SECONDS = 3.0  # a change this soon after a job on the machine is the job's
BATCH = 500
_UP = (PowerState.RUNNING, PowerState.PAUSED)
_WRITTEN = (
    "power_state", "power_reason", "observed_at", "boot_id", "booted_at", "definition", "observed_definition",
    "consoles", "guest", "agent_at", "online_at", "cpu_percent", "memory_used_bytes", "shutdown_asked_at",
)  # fmt: skip


def apply(
    host: Host, observations: Collection[Observation], *, full_pass: bool = False, at: datetime | None = None,
    last: LastPass | None = None,
) -> set[UUID]:  # fmt: skip
    """Write what `host` said of its machines; returns the ids of our machines that changed.

    `full_pass`: these are all the machines the host has, so that those it should have and did not name are
    missing; `at` is then the moment it was asked (default: the oldest observation's), and `last` what a watcher
    remembers of its passes. Callable from any process, in or outside a transaction; safe with late, doubled and
    reordered observations.
    """
    seen = {}
    if full_pass:
        at = at or min((one.at for one in observations), default=clock.now())
        if not _beat(host, at) or (last and last.look(host, observations)):
            return set()
        unnamed = _expected(host) | {uuid for (uuid,) in _FOREIGN_KEYS.rows(host=host.pk)}
        seen = {pk: _missing(pk, at) for pk in unnamed}
    seen |= {UUID(one.uuid): one for one in observations}
    if len(seen) == 1 and not full_pass:
        # News of one machine nearly always moves its row: it is not looked at before it is locked.
        changed, ours = _write(host, seen)
        agreed = False
    else:
        known = {row.pk: row for row in _machines(seen) if row.host_id == host.pk}
        differ = [pk for pk, row in known.items() if not full_pass or _differs(row, seen[pk])]
        pending = {pk: seen[pk] for pk in differ if not _is_late(known[pk], seen[pk])}
        changed, ours = _write(host, pending)[0] if pending else set(), set(known)
        agreed = not differ
    agreed &= _list_foreign(host, {pk: one for pk, one in seen.items() if pk not in ours}, ours)
    if last:
        last.end(agreed=agreed)
    return changed


def accept_definition(vm: VirtualMachine, digest: str) -> None:
    """Take `digest` as the definition we want; for whoever wrote it on purpose outside a job on the machine."""
    VirtualMachine.objects.filter(pk=vm.pk).update(definition=digest, observed_definition=digest)
    publish("vm", vm.pk, "changed")


def write_loads(loads: dict[UUID, tuple[int | None, int | None]]) -> None:
    """Write CPU percent and used memory (bytes) of machines that run, where they differ. Publishes nothing."""
    rows = [
        row
        for row in VirtualMachine.objects.filter(pk__in=loads).only("pk", "cpu_percent", "memory_used_bytes")
        if (row.cpu_percent, row.memory_used_bytes) != loads[row.pk]
    ]
    for row in rows:
        row.cpu_percent, row.memory_used_bytes = loads[row.pk]
    VirtualMachine.objects.bulk_update(rows, ("cpu_percent", "memory_used_bytes"), batch_size=BATCH)


def write_guest(vm_id: UUID, boot_id: str, info: GuestInfo | None) -> bool | None:
    """Write what the agent told of the run `boot_id`, or that none answers; returns whether that was news.

    An answer that comes after the run has ended is dropped, as is one before the row knows of it: None.
    """
    row = VirtualMachine.objects.filter(pk=vm_id, boot_id=boot_id).only("guest", "agent_at", "online_at").first()
    if row is None:
        return None
    if info is None:
        told = _without_agent(row.guest) if row.guest else {"agent": False}
    else:
        told = {"agent": True, **asdict(info), "addresses": list(info.addresses), "users": list(info.users)}
    if told == row.guest:
        return False
    with transaction.atomic():
        rows = VirtualMachine.objects.filter(pk=vm_id, boot_id=boot_id)
        now = clock.now()
        if not rows.update(guest=told, guest_at=now, **_firsts(row, info, now)):
            return None
        publish("vm", vm_id, "guest")
    return True


def _firsts(row: VirtualMachine, info: GuestInfo | None, now: datetime) -> dict[str, datetime]:
    """When the agent of this run first answered, and first told an address, if that is now."""
    firsts = {}
    if info is not None and row.agent_at is None:
        firsts["agent_at"] = now
    if info is not None and info.addresses and row.online_at is None:
        firsts["online_at"] = now
    return firsts


def forget_future(host: Host) -> None:
    """Pull times that lie ahead of this machine's clock back to now: after a wrong clock nothing would be applied."""
    limit = clock.now() + timedelta(seconds=5)
    Host.objects.filter(pk=host.pk, observed_at__gt=limit).update(observed_at=clock.now())
    VirtualMachine.objects.filter(host=host, observed_at__gt=limit).update(observed_at=clock.now())
    _foreign(host).filter(observed_at__gt=limit).update(observed_at=clock.now())


def host_lost(machines: QuerySet[VirtualMachine], at: datetime) -> list[UUID]:
    """Write that these machines stopped with their host; returns which. Later observations count as ever."""
    lost = list(machines.filter(power_state__in=(*_UP, PowerState.UNKNOWN)).values_list("pk", flat=True))
    VirtualMachine.objects.filter(pk__in=lost).update(
        power_state=PowerState.OFF, power_reason="host lost", observed_at=at, boot_id="", booted_at=None, consoles=[],
        cpu_percent=None, memory_used_bytes=None, agent_at=None, online_at=None, shutdown_asked_at=None,
    )  # fmt: skip
    for pk in lost:
        publish("vm", pk, "power")
    return lost


# -- our machines --------------------------------------------------------------------------------------------


def _machines(pks: Iterable[UUID]) -> list[VirtualMachine]:
    """The rows of these machines, in slices that fit into one statement everywhere."""
    keys = list(pks)
    slices = (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))
    return [row for part in slices for row in _machines_at_once(part)]


def _machines_at_once(keys: list[UUID]) -> list[VirtualMachine]:
    """By one statement that is kept for so many, the last key more than once where they are fewer."""
    count = 1 << (len(keys) - 1).bit_length()
    return _of(count).objects(**each("pk", keys + keys[-1:] * (count - len(keys))))


@cache
def _of(count: int) -> Statement:
    keys: Any = several("pk", count)
    return Statement(lambda: VirtualMachine.objects.filter(pk__in=keys).order_by())


def _beat(host: Host, at: datetime) -> bool:
    """Note the pass on the host; False when a later pass was applied already."""
    return bool(_BEAT.run(host=host.pk, at=at, observed_at=at))


_BEAT = Statement(
    lambda: (
        written(Host)
        .filter(pk=Given("host"))
        .filter(Q(observed_at__isnull=True) | Q(observed_at__lte=time("at")))
        .update(**given(Host, "observed_at"))
    )
)


def _expected(host: Host) -> set[UUID]:
    """The machines a full pass must name: being made or removed, one may rightly be absent."""
    return {pk for (pk,) in _EXPECTED.rows(host=host.pk)}


_NEVER_THERE = (PowerState.MISSING, PowerState.UNKNOWN)
_EXPECTED = Statement(
    lambda: (
        VirtualMachine.objects.filter(host=Given("host"), state__in=(VmState.READY, VmState.BROKEN))
        .exclude(state=VmState.BROKEN, power_state__in=_NEVER_THERE)
        .order_by()
        .values_list("pk")
    )
)


def _is_late(row: VirtualMachine | ForeignMachine, one: Observation) -> bool:
    return bool(row.observed_at and one.at < row.observed_at)


def _differs(row: VirtualMachine, one: Observation) -> bool:
    """Whether `one` says anything the row does not."""
    wanted = _columns(row, _explained(row, one))
    return any(getattr(row, name) != wanted[name] for name in CONDITION)


def _columns(row: VirtualMachine, one: Observation) -> dict[str, Any]:
    """The columns as `one` would have them."""
    up = one.power in _UP
    consoles = [{key: value for key, value in asdict(end).items() if value} for end in one.consoles]
    return {
        "power_state": one.power,
        "power_reason": one.reason[:64],
        "boot_id": one.boot_id[:64] if up else "",
        "observed_definition": one.definition or row.observed_definition,
        "consoles": consoles if up else [],
    }


@transaction.atomic
def _write(host: Host, seen: dict[UUID, Observation]) -> tuple[set[UUID], set[UUID]]:
    """Lock, look again, write; returns what changed, and what is there."""
    ((floor, rebooted_at),) = _FLOOR.rows(host=host.pk)
    busy = _busy(seen)
    rows, changed, there = [], set(), set()
    for row in _locked(host, sorted(seen)):
        one = seen[row.pk]
        there.add(row.pk)
        if _is_late(row, one) or (floor and one.at < floor):
            continue
        if one.power is PowerState.MISSING and (row.pk in busy or row.state in VM.unstable):
            continue  # whoever works on it knows better; the next pass looks again
        if (one.power, one.reason) == (PowerState.OFF, MIGRATED) and row.moving_to_id is not None:
            continue  # it has just arrived elsewhere, which the move is about to write: nobody's screen ends for it
        if row.created_at > one.at:
            continue
        ours = row.pk in busy or row.state in VM.unstable
        if _take(row, _explained(row, one, None if ours else rebooted_at), ours=ours):
            changed.add(row.pk)
        rows.append(row)
    write_rows([row for row in rows if row.pk in changed], _WRITTEN)
    write_rows([row for row in rows if row.pk not in changed], ("observed_at",))
    return changed, there


def _locked(host: Host, keys: list[UUID]) -> Iterable[VirtualMachine]:
    """The host's machines of these, one slice after another, each locked as it is read."""
    if len(keys) == 1:
        yield from _LOCKED.objects(pk=keys[0], host=host.pk)
        return
    rows = VirtualMachine.objects.select_for_update().order_by("pk").filter(host=host)
    for start in range(0, len(keys), BATCH):
        yield from rows.filter(pk__in=keys[start : start + BATCH])


_LOCKED = Statement(
    lambda: VirtualMachine.objects.select_for_update().filter(pk=Given("pk"), host=Given("host")).order_by()
)
_FLOOR = Statement(lambda: Host.objects.filter(pk=Given("host")).order_by().values_list("observed_at", "rebooted_at"))


def _explained(row: VirtualMachine, one: Observation, rebooted_at: datetime | None = None) -> Observation:
    """`one`, with the reason that its host forgot when it was rebooted under the machine: that is a crash.

    A machine that shut down before has said so: its end was observed, or its host remembers it.
    """
    if one.power is not PowerState.OFF or one.reason != UNEXPLAINED:
        return one
    fell = row.power_state in _UP and rebooted_at and row.observed_at and row.observed_at < rebooted_at
    if fell or (row.power_state, row.power_reason) == (PowerState.CRASHED, HOST_REBOOTED):
        return replace(one, power=PowerState.CRASHED, reason=HOST_REBOOTED)
    return one


def _take(row: VirtualMachine, one: Observation, *, ours: bool) -> bool:
    """Put `one` into the row (unsaved), and announce and record what that changes."""
    wanted = _columns(row, one)
    before = {name: getattr(row, name) for name in CONDITION}
    row.observed_at = one.at
    if before == wanted:
        return False
    surprise.tell(row, one, ours=ours)
    for name, value in wanted.items():
        setattr(row, name, value)
    if row.boot_id != before["boot_id"]:
        row.booted_at = one.at if row.boot_id else None
        row.guest = _without_agent(row.guest)
        row.agent_at = row.online_at = None
    if one.power not in _UP:
        row.cpu_percent = row.memory_used_bytes = None
    if one.power is not PowerState.RUNNING or row.boot_id != before["boot_id"]:
        row.shutdown_asked_at = None
    if ours or not row.definition:
        row.definition = row.observed_definition
    if row.state == VmState.BROKEN and before["power_state"] == PowerState.MISSING:
        VM.attempt(VirtualMachine.objects.filter(pk=row.pk), "mend")
    power = any(before[name] != wanted[name] for name in ("power_state", "boot_id"))
    publish("vm", row.pk, "power" if power else "changed")
    return True


def _without_agent(guest: dict[str, Any]) -> dict[str, Any]:
    """What stays true of a guest that no longer answers."""
    return {**guest, "agent": False, "addresses": [], "users": []} if guest else {}


def _busy(keys: Iterable[UUID]) -> set[UUID]:
    """Those on which a job works or has worked just now."""
    since = clock.now() - timedelta(seconds=OURS_FOR_SECONDS)
    return {subject for (subject,) in _AT_WORK.rows(since=since)} & set(keys)


_AT_WORK = Statement(
    lambda: (
        Job.objects.filter(Q(state__in=sorted(ACTIVE)) | Q(finished_at__gte=time("since")))
        .order_by()
        .values_list("subject_id")
    )
)


def _missing(pk: UUID, at: datetime) -> Observation:
    return Observation(uuid=str(pk), name="", power=PowerState.MISSING, at=at)


# -- machines of others --------------------------------------------------------------------------------------


def _foreign(host: Host) -> Any:
    return ForeignMachine.objects.filter(host=host)


_FOREIGN_KEYS = Statement(lambda: ForeignMachine.objects.filter(host=Given("host")).order_by().values_list("uuid"))
_FOREIGN_OF = Statement(lambda: ForeignMachine.objects.filter(host=Given("host")).order_by())


def _list_foreign(host: Host, seen: dict[UUID, Observation], ours: Collection[UUID]) -> bool:
    """Bring the list of foreign machines in line with `seen`, and take `ours` off it; others stay as they are.

    Returns whether it was in line before.
    """
    listed = {row.uuid: row for row in _FOREIGN_OF.objects(host=host.pk)}
    differ = {pk: one for pk, one in seen.items() if _is_listed_otherwise(listed.get(pk), one)}
    news = {pk: one for pk, one in differ.items() if pk not in listed or not _is_late(listed[pk], one)}
    adopted = listed.keys() & ours
    if not news and not adopted:
        return not differ
    just_removed = _busy(news.keys() - listed.keys())  # ours until now, and already gone again
    fresh: list[ForeignMachine] = []
    changed: list[ForeignMachine] = []
    for pk, one in news.items():
        if one.power is PowerState.MISSING or pk in just_removed:
            continue
        row = listed.get(pk) or ForeignMachine(host=host, uuid=pk)
        for name, value in _foreign_columns(one).items():
            setattr(row, name, value)
        (changed if row.pk else fresh).append(row)
    gone = adopted | {pk for pk, one in news.items() if one.power is PowerState.MISSING and pk in listed}
    if not gone and not fresh and not changed:
        return False
    with transaction.atomic():
        _foreign(host).filter(uuid__in=gone).delete()
        ForeignMachine.objects.bulk_create(fresh, batch_size=BATCH, ignore_conflicts=True)
        ForeignMachine.objects.bulk_update(changed, (*FOREIGN, "observed_at"), batch_size=BATCH)
        publish("host", host.pk, "changed")
    return False


def _is_listed_otherwise(row: ForeignMachine | None, one: Observation) -> bool:
    told = _foreign_columns(one)
    return row is None or one.power is PowerState.MISSING or any(getattr(row, name) != told[name] for name in FOREIGN)


def _foreign_columns(one: Observation) -> dict[str, Any]:
    return {
        "name": one.name[:255],
        "power_state": one.power,
        "vcpus": min(one.vcpus, 32767),
        "memory_bytes": one.memory,
        "observed_at": one.at,
    }
