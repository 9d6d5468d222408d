"""The scheduling policies of clusters and their parameters, after oVirt's, as data.

What has no counterpart in Berth is left out rather than kept without effect: there is no storage pool manager and no
hosted engine to spare for, and swap is not observed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from broker.core.tables import Setting, complete
from broker.core.text import gettext_noop as N_

NONE, EVEN, BY_NUMBER, SAVING, CLUSTER_MAINTENANCE = (
    "none", "evenly_distributed", "vm_evenly_distributed", "power_saving", "cluster_maintenance",
)  # fmt: skip
POLICIES = (
    (NONE, N_("None: a running machine stays where it is")),
    (EVEN, N_("Evenly distributed by processor load and memory")),
    (BY_NUMBER, N_("Evenly distributed by number of machines")),
    (SAVING, N_("Power saving: few hosts, well used")),
    (CLUSTER_MAINTENANCE, N_("Maintenance: only highly available machines start")),
)
BALANCING = (
    ("rehearse", N_("Only propose migrations")),
    ("automatic", N_("Migrate machines by itself")),
)
SETTINGS = (
    Setting("policy", NONE, N_("Scheduling policy"), choices=POLICIES),
    Setting("balancing", "rehearse", N_("Balancing"), choices=BALANCING),
    Setting("high_utilization", 80, N_("High utilization in percent"),
            N_("A host with more processor load than this, for the time below, is overloaded."), 50, 99),
    Setting("low_utilization", 20, N_("Low utilization in percent"),
            N_("Power saving empties a host with less load than this."), 0, 49),
    Setting("cpu_over_commit_duration_minutes", 2, N_("Minutes of load that count"),
            N_("The load is the mean over this time."), 1, 60),
    Setting("high_vm_count", 10, N_("High number of machines"),
            N_("Below this number no host is relieved."), 1, 10_000),
    Setting("migration_threshold", 5, N_("Difference in machines"),
            N_("The fullest host must have this many more than the emptiest."), 2, 1_000),
    Setting("max_free_memory_for_over_utilized", 0, N_("Overloaded below this much free memory, in MiB"),
            N_("0: memory does not count."), 0, 2**31 - 1),
    Setting("min_free_memory_for_under_utilized", 0, N_("Under-used above this much free memory, in MiB"),
            N_("0: memory does not count."), 0, 2**31 - 1),
    Setting("memory_overcommit", 100, N_("Memory given out, in percent of what there is"),
            N_("100: as much as there is. Machines seldom use all they are given."), 100, 400),
    Setting("vcpu_ratio", 0, N_("Virtual processors for each real one"), N_("0: as many as wanted."), 0, 64),
    Setting("reserve_hosts", 0, N_("Hosts that may fail"),
            N_("Memory is kept free so that the highly available machines of this many hosts can be restarted."), 0, 8),
    Setting("host_power_management", False, N_("Switch empty hosts off"),
            N_("With power saving: hosts that may be, and on which nothing runs, are switched off, and on again when "
               "they are needed.")),
    Setting("hosts_in_reserve", 1, N_("Empty hosts kept on"),
            N_("So many hosts on which nothing runs stay on, for machines that are started next."), 0, 8),
    Setting("power_off_after_minutes", 10, N_("Minutes until an empty host is switched off"), "", 1, 1440),
    Setting("wake_minutes", 10, N_("Minutes that a host may take to wake"),
            N_("One that does not answer by then is told of, and another is woken instead."), 1, 120),
    Setting("cpu_level", "", N_("Processor level"),
            N_("A processor model that every host must offer, such as Haswell. Empty: any host will do.")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one cluster as values."""

    policy: str = NONE
    balancing: str = "rehearse"
    high_utilization: int = 80
    low_utilization: int = 20
    cpu_over_commit_duration_minutes: int = 2
    high_vm_count: int = 10
    migration_threshold: int = 5
    max_free_memory_for_over_utilized: int = 0
    min_free_memory_for_under_utilized: int = 0
    memory_overcommit: int = 100
    vcpu_ratio: int = 0
    reserve_hosts: int = 0
    host_power_management: bool = False
    hosts_in_reserve: int = 1
    power_off_after_minutes: int = 10
    wake_minutes: int = 10
    cpu_level: str = ""

    @property
    def switches_hosts(self) -> bool:
        """Whether hosts are switched off by themselves when nothing runs on them."""
        return self.policy == SAVING and self.host_power_management

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Policy":
        return cls(**complete(SETTINGS, stored))


assert {one.name: one.default for one in SETTINGS} == {one.name: one.default for one in fields(Policy)}
