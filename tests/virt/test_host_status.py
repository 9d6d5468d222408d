"""The status of a host: one word for what is wanted and what is seen."""

import pytest

from broker.core import clock
from broker.virt.host_status import TABLE, HostStatus, status_of, with_status
from broker.virt.models import Cluster, Host, HostHealth, StorageAttachment, StorageDomain

NOW = clock.now()


@pytest.mark.parametrize(
    ("row", "health", "blind", "status"),
    [
        ({}, None, False, "up"),
        ({"observed_at": None}, None, False, "unassigned"),
        ({"observed_at": None, "error": "x"}, None, False, "non-responsive"),
        ({"error": "x"}, None, False, "connecting"),
        ({"error": "x"}, {"decision": "wait"}, False, "connecting"),
        ({"error": "x"}, {"decision": "hold"}, False, "non-responsive"),
        ({"error": "x"}, {"decision": "fence"}, False, "non-responsive"),
        ({"error": "x"}, {"decision": "leased", "lost_at": NOW, "only_leased": True}, False, "non-responsive"),
        ({"error": "x"}, {"decision": "dead", "lost_at": NOW}, False, "down"),
        ({"error": "x"}, {"decision": "dead", "lost_at": NOW, "off_at": NOW}, False, "rebooting"),
        ({}, {"decision": "returned", "lost_at": NOW, "off_at": NOW}, False, "up"),
        ({}, None, True, "non-operational"),
        ({"state": "preparing"}, None, True, "preparing-for-maintenance"),
        ({"state": "preparing", "error": "x"}, {"decision": "dead", "lost_at": NOW}, False, "down"),
        ({"state": "maintenance", "error": "x"}, None, True, "maintenance"),
    ],
)
def test_the_table(db, row, health, blind, status):
    cluster = Cluster.objects.create(name="c")
    host = Host.objects.create(**{"cluster": cluster, "name": "h", "observed_at": NOW, **row})
    if health is not None:
        HostHealth.objects.create(host=host, **health)
    if blind:
        storage = StorageDomain.objects.create(cluster=cluster, name="s", path="/s")
        StorageAttachment.objects.create(storage=storage, host=host, error="not there", observed_at=NOW)
    assert status_of(with_status(Host.objects.all()).get()) == status


def test_every_status_has_its_line():
    assert {line.status for line in TABLE} == set(HostStatus)
