"""The settings of high availability of a cluster, after oVirt's, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from broker.core.tables import Setting, complete
from broker.core.text import gettext_noop as N_

MODES = (
    ("act", N_("Fence hosts and restart machines")),
    ("rehearse", N_("Only say what would be done")),
)
SETTINGS = (
    Setting("when_dead", "act", N_("When a host dies"), choices=MODES),
    Setting("fencing", True, N_("Fencing"), N_("Cut the power of hosts that do not answer.")),
    Setting("detect_seconds", 60, N_("Seconds of silence"),
            N_("How long a host may be silent before anything is done; half a second more for each machine on it."),
            5, 3600),
    Setting("startup_seconds", 300, N_("Seconds after a start of Berth"),
            N_("No host is fenced so soon after the managers began, or were away, or a clock jumped."), 0, 3600),
    Setting("silent_share_percent", 50, N_("Share of silent hosts in percent"),
            N_("When this many or more are silent, and they are two at least, Berth's own network is the suspect."),
            1, 100),
    Setting("quiet_seconds", 180, N_("Seconds between two fencings"),
            N_("In one cluster; the admin's own fencing does not wait."), 0, 3600),
    Setting("lease_seconds", 90, N_("Seconds until a lease on storage is over"),
            N_("A host that renews its lease lives. After this time without, its agent has stopped the machines."),
            10, 3600),
    Setting("retry_seconds", 60, N_("Seconds until fencing is tried again"), "", 5, 3600),
    Setting("power_on", True, N_("Switch fenced hosts on again")),
    Setting("parallel_restarts", 4, N_("Machines restarted at once"), "", 1, 100),
    Setting("restart_tries", 10, N_("Quick tries to restart a machine"), "", 1, 100),
    Setting("restart_every_seconds", 30, N_("Seconds between quick tries"), "", 1, 3600),
    Setting("restart_later_seconds", 1800, N_("Seconds between tries after those"), "", 10, 86400),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HaRules:
    """The settings of one cluster as values."""

    when_dead: str = "act"
    fencing: bool = True
    detect_seconds: int = 60
    startup_seconds: int = 300
    silent_share_percent: int = 50
    quiet_seconds: int = 180
    lease_seconds: int = 90
    retry_seconds: int = 60
    power_on: bool = True
    parallel_restarts: int = 4
    restart_tries: int = 10
    restart_every_seconds: int = 30
    restart_later_seconds: int = 1800

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "HaRules":
        return cls(**complete(SETTINGS, stored))


assert {one.name: one.default for one in SETTINGS} == {one.name: one.default for one in fields(HaRules)}
