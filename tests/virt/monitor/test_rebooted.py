"""A host that was rebooted: how that is known, and what it makes of machines whose end the host does not remember."""

from dataclasses import replace

import pytest

from broker.events.models import Event
from broker.virt import observe
from broker.virt.driver import HostFacts, PowerState
from broker.virt.models import Host
from broker.virt.monitor import facts
from tests.virt.monitor.help import at, machine, seen
from tests.virt.monitor.test_observe import kinds, reload, work_on

OFF, RUNNING = PowerState.OFF, PowerState.RUNNING


class TestHostRebooted:
    """At 5 the host was found to have been rebooted; of a machine that ended with it libvirt remembers no reason."""

    FORGOTTEN = {"reason": "unknown"}

    @pytest.fixture
    def vm(self, world):
        vm = machine(world)
        observe.apply(world.host, [seen(vm, 1)])
        Host.objects.update(rebooted_at=at(5))
        return vm

    def test_what_ran_has_crashed_and_stays_so(self, world, vm):
        for moment in (6, 7):
            observe.apply(world.host, [seen(vm, moment, OFF, **self.FORGOTTEN)], full_pass=True, at=at(moment))
        row = reload(vm)
        assert (row.power_state, row.power_reason, row.boot_id) == ("crashed", "host rebooted", "")
        assert kinds() == ["vm.crashed"]
        assert observe.apply(world.host, [seen(vm, 8, boot_id="run-2")], full_pass=True, at=at(8)) == {vm.pk}
        assert reload(vm).power_state == RUNNING

    def test_what_ended_before_with_a_reason_did_not(self, world, vm):
        observe.apply(world.host, [seen(vm, 4, OFF, reason="shutdown")])
        observe.apply(world.host, [seen(vm, 6, OFF, **self.FORGOTTEN)])
        assert reload(vm).power_state == OFF

    def test_what_was_started_after_it_did_not(self, world, vm):
        observe.apply(world.host, [seen(vm, 6, boot_id="run-2")])
        observe.apply(world.host, [seen(vm, 7, OFF, **self.FORGOTTEN)])
        assert reload(vm).power_state == OFF

    def test_what_says_why_it_ended_did_not(self, world, vm):
        observe.apply(world.host, [seen(vm, 6, OFF, reason="destroyed")])
        assert reload(vm).power_state == OFF

    def test_what_a_job_works_on_is_left_to_it(self, world, vm):
        work_on(vm)
        observe.apply(world.host, [seen(vm, 6, OFF, **self.FORGOTTEN)])
        assert reload(vm).power_state == OFF

    def test_nothing_is_made_of_it_without_a_reboot(self, world, vm):
        Host.objects.update(rebooted_at=None)
        observe.apply(world.host, [seen(vm, 6, OFF, **self.FORGOTTEN)])
        assert reload(vm).power_state == OFF


@pytest.mark.parametrize(
    ("before", "now", "rebooted"), [(900, 30, True), (900, 960, False), (None, 5, False), (900, None, False)]
)
def test_a_host_whose_processors_have_spent_less_than_before_was_rebooted(world, before, now, rebooted):
    told = HostFacts(
        uuid=world.host.observed_uuid, hostname="a", hypervisor="QEMU 7", manager="libvirt 9", cpus=2, cpu_model="x",
        memory=1, memory_free=1, emulated=False,
    )  # fmt: skip
    facts.write(world.host, replace(told, ticked_seconds=before))
    Event.objects.all().delete()
    facts.write(world.host, replace(told, ticked_seconds=now))
    assert bool(Host.objects.get().rebooted_at) is rebooted
    assert kinds() == ["host.rebooted"] * rebooted
