"""Change a cluster's name, description, rules, and of which addresses its network cards get theirs."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import tables
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import macs, names, rows
from broker.virt.ha.rules import SETTINGS as HA_SETTINGS
from broker.virt.migrating import policies
from broker.virt.models import Cluster
from broker.virt.placement.policy import SETTINGS


@transaction.atomic
def edit_cluster(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str | None = None,
    description: str | None = None,
    rules: Mapping[str, Any] | None = None,
    migration: Mapping[str, Any] | None = None,
    ha: Mapping[str, Any] | None = None,
    mac_ranges: str | None = None,
) -> Cluster:
    """Write what is given (None: leave). `rules`: some of the settings in placement/policy.py, `ha`: of those in
    ha/rules.py; others stay.
    `migration`: likewise of those in migrating/policies.py. `mac_ranges`: as macs.py reads them; cards that are there
    keep the addresses they have.

    Raises Missing, Denied, Invalid or Conflict (the name is taken).
    """
    require(actor, "cluster.manage", cluster)
    wanted = {
        "name": None if name is None else names.name(name),
        "description": None if description is None else names.description(description),
        "mac_ranges": None if mac_ranges is None else macs.checked(mac_ranges),
        "ha": None if ha is None else {**cluster.ha, **tables.checked(HA_SETTINGS, ha)},
        "migration": None
        if migration is None
        else {**cluster.migration, **tables.checked(policies.SETTINGS, migration)},
        "rules": None if rules is None else {**cluster.rules, **tables.checked(SETTINGS, rules)},
    }
    if rows.change(cluster, wanted):
        record("cluster.edited", actor=actor, subject=cluster, message=N_("Cluster %(name)s was changed"),
               name=cluster.name)  # fmt: skip
        publish("cluster", cluster.pk, "changed")
    return cluster
