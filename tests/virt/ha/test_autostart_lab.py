"""A host that loses power and comes back: the machine that starts with it runs there again, once; the other stays off.

The laboratory's hosts share one kernel, whose count of spent processor time does not begin anew. So the row is made to
say that the host was up for longer before.
"""

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import autostart
from broker.virt.models import Host, Recovery, VirtualMachine
from tests.virt.ha.failover import Failover, Sampler
from tests.virt.ha.test_rebooted_lab import spent

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.mark.timeout(300)
def test_it_runs_again_on_its_host_and_never_twice(transactional_db, lab_hosts, tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cluster = Failover(lab_hosts, tmp_path)
    sampler = None
    try:
        cluster.world.cluster.ha |= {"detect_seconds": 150}
        cluster.world.cluster.save()
        cluster.begin()
        vm = cluster.machine()
        sampler = Sampler(str(vm.pk))
        sampler.start()
        first = cluster.where(vm)
        other = cluster.machine()
        cluster.until(lambda: cluster.where(other), 30)
        rows = VirtualMachine.objects.all()
        rows.update(available=False, leased=False)
        rows.filter(pk=vm.pk).update(autostart=True)
        where = cluster.where(other)
        for name in {first, where}:
            Host.objects.filter(pk=cluster.rows[name].pk).update(ticked_seconds=10 * spent())
            cluster.lab.hosts[name].crash()
        assert cluster.where(vm) == cluster.where(other) == ""
        for name in {first, where}:
            cluster.lab.hosts[name].start()

        def up() -> bool:
            autostart.run()
            return VirtualMachine.objects.get(pk=vm.pk).power_state == "running" and cluster.where(vm) != ""

        cluster.until(lambda: Event.objects.filter(kind="host.rebooted").count() == len({first, where}), 120)
        cluster.until(up, 120)
        assert cluster.where(vm) == first
        settled = clock.steady() + 10
        cluster.until(lambda: autostart.run() or clock.steady() > settled, 60)
        assert cluster.where(vm) == first and cluster.where(other) == ""
        assert sampler.most == 1, "there were never two of it"
        assert Job.objects.filter(plan="vm.start", actor_name=autostart.DUTY.name).count() == 1
        assert not Recovery.objects.exists() and not rows.filter(start_due__isnull=False).exists()
        assert Event.objects.filter(kind="vm.autostart", subject_id=vm.pk).count() == 1
    finally:
        if sampler is not None:
            sampler.stop()
        cluster.close()
