"""What a host is like, in one word, as oVirt has it: told from its row, what is known of its health, and its storage.

Nobody writes a status: what an administrator wants is the host's `state`, and what is seen are facts. `TABLE` is gone
through from the top, and the first line that is true of the host counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from broker.core.text import gettext_noop as N_

from .ha.judge import Decision
from .ha.rules import HaRules
from .models import Host, HostHealth, StorageAttachment
from .states import HostState, StorageState

if TYPE_CHECKING:
    from django.db.models import QuerySet


class HostStatus(StrEnum):
    UP = "up"
    UNASSIGNED = "unassigned"
    CONNECTING = "connecting"
    NON_RESPONSIVE = "non-responsive"
    NON_OPERATIONAL = "non-operational"
    PREPARING = "preparing-for-maintenance"
    MAINTENANCE = "maintenance"
    ASLEEP = "asleep"
    REBOOTING = "rebooting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Seen:
    """A host as the table looks at it. `blind`: it answers, but does not see a storage that its cluster uses."""

    state: str
    known: bool
    error: bool
    blind: bool = False
    lost: bool = False
    cut: bool = False
    power_on: bool = True
    decision: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    status: HostStatus
    when: Callable[[Seen], bool]
    meaning: str


CONNECTING = ("", Decision.ALIVE, Decision.WAIT, Decision.ASK)
TABLE = (
    Line(HostStatus.MAINTENANCE, lambda host: host.state == HostState.MAINTENANCE,
         N_("Nothing is started on it, and its silence alarms nobody.")),
    Line(HostStatus.ASLEEP, lambda host: host.state == HostState.ASLEEP,
         N_("It is switched off to save power, and is woken when it is needed.")),
    Line(HostStatus.REBOOTING, lambda host: host.lost and host.error and host.cut and host.power_on,
         N_("Its power was cut and given again; it has not answered since.")),
    Line(HostStatus.DOWN, lambda host: host.lost and host.error,
         N_("It was found dead; its highly available machines are restarted elsewhere.")),
    Line(HostStatus.PREPARING, lambda host: host.state == HostState.PREPARING,
         N_("Its machines are being moved to other hosts.")),
    Line(HostStatus.UNASSIGNED, lambda host: not host.known and not host.error,
         N_("It was added and has not been seen yet.")),
    Line(HostStatus.CONNECTING, lambda host: host.error and host.known and host.decision in CONNECTING,
         N_("It stopped answering a moment ago and is being asked.")),
    Line(HostStatus.NON_RESPONSIVE, lambda host: host.error,
         N_("It does not answer; whether it is dead is not proved.")),
    Line(HostStatus.NON_OPERATIONAL, lambda host: host.blind,
         N_("It answers, but does not see a storage of its cluster; machines there cannot be started on it.")),
    Line(HostStatus.UP, lambda host: True, N_("It answers, and machines may be started on it.")),
)  # fmt: skip


def with_status(rows: "QuerySet[Host]") -> "QuerySet[Host]":
    """`rows` with what `status_of` needs, in the same query."""
    unseen = StorageAttachment.objects.filter(
        host=OuterRef("pk"), storage__state=StorageState.ACTIVE, storage__host__isnull=True
    ).exclude(error="")
    return rows.select_related("cluster", "health").annotate(blind=Exists(unseen))


def line_of(host: Host) -> Line:
    """The line of the table that counts for a host from `with_status`."""
    seen = _seen(host)
    return next(line for line in TABLE if line.when(seen))


def status_of(host: Host) -> HostStatus:
    return line_of(host).status


def _seen(host: Host) -> Seen:
    try:
        health: HostHealth | None = host.health
    except HostHealth.DoesNotExist:
        health = None
    return Seen(
        state=host.state,
        known=host.observed_at is not None,
        error=bool(host.error),
        blind=host.blind,  # type: ignore[attr-defined]  # annotated by with_status
        lost=health is not None and health.lost_at is not None and not health.only_leased,
        cut=health is not None and health.off_at is not None,
        power_on=HaRules.of(host.cluster.ha).power_on,
        decision=health.decision if health else "",
    )
