"""A host emptied by balancing is really switched off, and a machine that finds no room wakes it.

Real hosts, whose power is cut and given through the package's own agent for Redfish.
"""

import time
from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import balancing, power_saving
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.edit_host import edit_host
from broker.virt.models import AffinityGroup, Host, VirtualMachine
from tests.lab.redfish import PowerStrip
from tests.virt.actions.stage import SYSTEM
from tests.virt.ha.failover import Failover

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
RULES = {
    "policy": "power_saving", "balancing": "automatic", "host_power_management": True, "hosts_in_reserve": 0,
    "cpu_over_commit_duration_minutes": 1, "low_utilization": 49, "high_utilization": 99,
}  # fmt: skip


class Saving(Failover):
    """Two hosts that may be switched off; the others of the laboratory rest."""

    def __init__(self, lab, base, strip):
        super().__init__(lab, base)
        self.serving = sorted(self.rows)[:2]
        Host.objects.exclude(name__in=self.serving).update(state="maintenance")
        for name in self.serving:
            create_fence_device(actor=SYSTEM, host=self.rows[name], **strip.device(name))
            edit_host(actor=SYSTEM, host=self.rows[name], may_sleep=True)
        edit_cluster(actor=SYSTEM, cluster=self.world.cluster, migration={"encrypted": False})

    def start(self, name: str, on: str) -> VirtualMachine:
        Host.objects.filter(name__in=self.serving).exclude(name=on).update(state="maintenance")
        job = create_vm(actor=SYSTEM, name=name, version=self.world.version, start=True)
        self.until(lambda: Job.objects.get(pk=job.pk).state == "succeeded", 60)
        Host.objects.filter(name__in=self.serving).update(state="active")
        return VirtualMachine.objects.get(pk=job.subject_id)

    def manage_until(self, what, seconds: float) -> float:
        """As `until`, with the duties that save power."""
        began = time.monotonic()
        while not what():
            taken = time.monotonic() - began
            jobs = [(one.plan, one.state, str(one.message), one.cause) for one in Job.objects.all()]
            assert taken < seconds, f"not within {seconds} s: {jobs}"
            balancing.run()
            power_saving.run()
            self.work()
        return time.monotonic() - began


@pytest.mark.timeout(500)
def test_emptied_switched_off_and_woken_by_a_machine_without_room(transactional_db, lab_hosts, tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    strip = PowerStrip(lab_hosts)
    cluster = Saving(lab_hosts, tmp_path, strip)
    full, spare = cluster.serving
    try:
        cluster.until(lambda: Host.objects.filter(error="", observed_at__isnull=False).count() == len(cluster.rows), 60)
        first, second = cluster.start("first", full), cluster.start("second", full)
        lonely = cluster.start("lonely", spare)
        assert [cluster.where(one) for one in (first, second, lonely)] == [full, full, spare]
        edit_cluster(actor=SYSTEM, cluster=cluster.world.cluster, rules=RULES)
        cluster.manage_until(lambda: cluster.where(lonely) == full and not VirtualMachine.objects.filter(
            host__name=spare), 120)  # fmt: skip
        cluster.manage_until(lambda: Host.objects.get(name=spare).empty_since is not None, 30)
        assert lab_hosts.hosts[spare].on
        Host.objects.filter(name=spare).update(empty_since=clock.now() - timedelta(minutes=11))
        cluster.manage_until(lambda: Host.objects.get(name=spare).asleep_at is not None, 60)
        assert not lab_hosts.hosts[spare].on and strip.orders == [(spare, "ForceOff")]
        assert strip.power(spare) == "Off"
        cluster.manage_until(lambda: Host.objects.get(name=spare).error, 60)

        apart = AffinityGroup.objects.create(
            cluster=cluster.world.cluster, name="apart", machine_rule="apart", machine_hard=True
        )
        job = create_vm(actor=SYSTEM, name="roomless", version=cluster.world.version, start=True)
        roomless = VirtualMachine.objects.get(pk=job.subject_id)
        apart.machines.add(first, roomless)
        cluster.manage_until(lambda: cluster.where(roomless) == spare, 180)
        cluster.manage_until(lambda: Job.objects.get(pk=job.pk).state == "succeeded", 60)
        assert Host.objects.get(name=spare).state == "active"
        assert strip.orders == [(spare, "ForceOff"), (spare, "On")]
        assert Event.objects.filter(kind="host.woke", subject_id=cluster.rows[spare].pk).count() == 1
        assert not Event.objects.filter(subject_kind="host", severity__in=("warning", "error")).exists()
        assert not Job.objects.filter(plan__in=("host.fence", "host.ask")).exists()
    finally:
        strip.close()
        cluster.close()
