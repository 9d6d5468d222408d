"""Put into words what a machine did that no job of ours asked for."""

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt.driver import IO_ERROR, MIGRATED, NO_SPACE, Observation, PowerState
from broker.virt.models import VirtualMachine

OUTSIDE = "vm.changed-outside"
MONITOR = Actor.system("monitor")
_UP = (PowerState.RUNNING, PowerState.PAUSED)

# What happened to a machine that nobody of ours touched: kind, severity, sentence.
Story = tuple[str, str, str]
REMOVED: Story = (f"{OUTSIDE}.removed", "error", N_("%(name)s is gone from %(host)s; Berth did not remove it"))
BACK: Story = (f"{OUTSIDE}.back", "info", N_("%(name)s is back on %(host)s (%(power)s)"))
STARTED: Story = (f"{OUTSIDE}.started", "warning", N_("%(name)s was started on %(host)s, not by Berth"))
STOPPED: Story = (f"{OUTSIDE}.stopped", "warning", N_("%(name)s was stopped on %(host)s, not by Berth (%(reason)s)"))
LEFT: Story = (f"{OUTSIDE}.left", "warning", N_("%(name)s was moved away from %(host)s, not by Berth"))
SUSPENDED: Story = (f"{OUTSIDE}.suspended", "warning", N_("%(name)s was suspended on %(host)s, not by Berth"))
PAUSED: Story = (f"{OUTSIDE}.paused", "warning", N_("%(name)s was paused on %(host)s, not by Berth"))
RESUMED: Story = (f"{OUTSIDE}.resumed", "warning", N_("%(name)s was resumed on %(host)s, not by Berth"))
RESTARTED: Story = (f"{OUTSIDE}.restarted", "warning", N_("%(name)s was stopped and started on %(host)s, not by Berth"))
EDITED: Story = (f"{OUTSIDE}.edited", "warning", N_("The definition of %(name)s on %(host)s was edited, not by Berth"))
SHUT_DOWN: Story = ("vm.shut-down", "info", N_("%(name)s shut down"))
CRASHED: Story = ("vm.crashed", "error", N_("%(name)s crashed on %(host)s (%(reason)s)"))
DISK_TROUBLE: Story = (
    "vm.disk-trouble", "error", N_("%(host)s paused %(name)s because a disk failed; is the storage full?"),
)  # fmt: skip
FULL: Story = (
    "vm.no-space", "error", N_("%(host)s paused %(name)s because its storage is full; it goes on when there is room"),
)  # fmt: skip

_NOBODYS = {CRASHED, DISK_TROUBLE, FULL}  # told even while a job works on the machine: no job asks for these
_PASSING = {"migration", "save", "dump", "snapshot", "starting_up", "shutting_down", "from_snapshot", "postcopy"}


def tell(row: VirtualMachine, one: Observation, *, ours: bool) -> None:
    """Record events for the step from what `row` says (not yet changed) to `one`; `ours`: a job is behind it."""
    stories = [_of_power(row, one), _of_definition(row, one)]
    for story in stories:
        if story is None or (ours and story not in _NOBODYS):
            continue
        kind, severity, message = story
        record(
            kind,
            actor=MONITOR,
            subject=row,
            severity=severity,
            message=message,
            name=row.name,
            host=row.host,
            power=one.power,
            reason=one.reason or "no reason told",
        )


def _of_power(row: VirtualMachine, one: Observation) -> Story | None:
    before, after = row.power_state, one.power
    if PowerState.MISSING in (before, after):
        return None if before == after else BACK if before == PowerState.MISSING else REMOVED
    if before == PowerState.UNKNOWN or after is PowerState.UNKNOWN:
        return None
    if after is PowerState.CRASHED and before != after:
        return CRASHED
    if before in _UP and after in _UP:
        return _while_up(row, one)
    if before in _UP:
        return _ended(one)
    return STARTED if after in _UP else None


def _while_up(row: VirtualMachine, one: Observation) -> Story | None:
    if row.boot_id and one.boot_id and row.boot_id != one.boot_id:
        return RESTARTED
    if row.power_state == one.power or one.reason in _PASSING:
        return None
    if one.power is PowerState.RUNNING:
        return RESUMED if row.power_reason not in _PASSING else None
    return {IO_ERROR: DISK_TROUBLE, NO_SPACE: FULL}.get(one.reason, PAUSED)


def _ended(one: Observation) -> Story:
    if one.power is PowerState.SUSPENDED:
        return SUSPENDED
    if one.reason == MIGRATED:
        return LEFT
    return SHUT_DOWN if one.reason == "shutdown" else STOPPED


def _of_definition(row: VirtualMachine, one: Observation) -> Story | None:
    known = {row.definition, row.observed_definition, ""}
    return EDITED if row.definition and one.definition not in known else None
