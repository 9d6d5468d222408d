"""A host that is rebooted and back before anybody calls it dead: its highly available machine is started there again.

The laboratory's hosts share one kernel, whose count of spent processor time does not begin anew. So the row is made to
say that the host was up for longer before.
"""

import pytest

from broker.events.models import Event
from broker.virt.models import Host, Recovery
from tests.virt.ha.failover import Failover

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


def spent() -> int:
    """Seconds, of all processors together, by the kernel's own words (man 5 proc: user to iowait, irq, softirq)."""
    with open("/proc/stat") as lines:
        figures = [int(word) for word in next(lines).split()[1:8]]
    return sum(figures) // 100


@pytest.mark.timeout(200)
def test_its_machine_is_started_there_again(transactional_db, lab_hosts, tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cluster = Failover(lab_hosts, tmp_path)
    try:
        cluster.world.cluster.ha |= {"detect_seconds": 150}
        cluster.world.cluster.save()
        before = spent()
        cluster.begin()
        vm = cluster.machine()
        first = cluster.where(vm)
        rows = Host.objects.filter(pk=cluster.rows[first].pk)
        assert before - 2 <= rows.get().ticked_seconds <= spent() + 2
        rows.update(ticked_seconds=10 * spent())
        cluster.lab.hosts[first].crash()
        assert cluster.where(vm) == ""
        cluster.lab.hosts[first].start()
        cluster.until(lambda: cluster.where(vm), 90)
        cluster.until(lambda: not cluster.open_recoveries(), 60)
        assert cluster.where(vm) == first
        assert Recovery.objects.get(vm=vm).epoch == 0
        assert Event.objects.filter(kind="host.rebooted").count() == 1
        crashed = Event.objects.get(kind="vm.crashed", subject_id=vm.pk)
        assert str(crashed.message) == f"{vm.name} crashed on {first} (host rebooted)"
        assert "dead" not in cluster.verdicts(first)
    finally:
        cluster.close()
