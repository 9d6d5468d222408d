"""Dry runs say what the real thing would do, and change nothing."""

import pytest

from broker.core.errors import Denied, Missing
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.explain import explain_start
from broker.virt.models import Host, VirtualMachine
from pools.actions.allocate import allocate
from pools.explain import explain_allocation
from pools.models import Assignment, Desktop
from tests.pools.conftest import free_rows

pytestmark = pytest.mark.django_db


def counts():
    return (Event.objects.count(), Job.objects.count(), Assignment.objects.count())


@pytest.fixture
def pool(world, make_pool):
    pool = make_pool(size=3)
    free_rows(pool, world, 3)
    return pool


def test_who_would_get_one_is_told_which(world, pool):
    before = counts()
    answer = explain_allocation(actor=world.actor("root"), pool=pool, user=world.alice)
    assert answer.refusal is None
    assert dict(answer.params)["user"] == "alice"
    assert counts() == before
    assert not Desktop.objects.filter(holder=world.alice).exists()
    assert allocate(actor=world.actor("alice"), pool=pool).desktop.vm.name == dict(answer.params)["name"]


def test_a_stranger_is_named_the_right_that_lacks(world, pool):
    answer = explain_allocation(actor=world.actor("root"), pool=pool, user=world.charlie)
    assert answer.refusal.rule == "access.right"


def test_each_desktop_and_host_has_its_rule(world, pool):
    first, second, third = Desktop.objects.filter(pool=pool).order_by("number")
    Desktop.objects.filter(pk=first.pk).update(state="assigned", holder=world.bob)
    VirtualMachine.objects.filter(pk=second.pk).update(state="broken")
    Desktop.objects.filter(pk=third.pk).update(state="resetting")
    Host.objects.update(state="maintenance")
    before = counts()
    answer = explain_allocation(actor=world.actor("root"), pool=pool, user=world.alice)
    assert answer.refusal is not None
    assert counts() == before, "the event of the refusal is taken back as well"
    assert any("queue" in text for text in answer.refusal.helps), "one is being reset, so waiting makes sense"
    desktops, hosts = answer.tables
    refused = {line.name: [reason.rule for reason in line.refusals] for line in desktops.lines}
    assert refused == {
        first.vm.name: ["desktop.free"], second.vm.name: ["machine.usable"], third.vm.name: ["desktop.free"],
    }  # fmt: skip
    assert [reason.rule for line in hosts.lines for reason in line.refusals] == ["state"]


def test_only_who_manages_the_pool_may_ask(world, pool):
    with pytest.raises(Denied):
        explain_allocation(actor=world.actor("alice"), pool=pool, user=world.bob)
    with pytest.raises(Missing):
        explain_allocation(actor=world.actor("charlie"), pool=pool, user=world.bob)


class TestStart:
    @pytest.fixture
    def vm(self, world, pool):
        vm = VirtualMachine.objects.filter(desktop__pool=pool).first()
        VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", host=None)
        vm.refresh_from_db()
        return vm

    def test_it_would_start(self, world, vm):
        before = counts()
        answer = explain_start(actor=world.actor("root"), vm=vm)
        assert (answer.refusal, dict(answer.params)) == (None, {"host": world.host.name})
        assert counts() == before

    def test_no_host_fits(self, world, vm):
        Host.objects.update(memory_free_bytes=1024)
        answer = explain_start(actor=world.actor("root"), vm=vm)
        assert answer.refusal.rule == "placement.host"
        assert [reason.rule for reason in answer.refusal.reasons] == ["memory"]
        assert answer.refusal.helps

    def test_a_job_is_in_the_way(self, world, vm):
        Job.objects.create(
            plan="vm.delete", title="Delete", subject_kind="vm", subject_id=vm.pk, subject_name=vm.name, actor_name="x"
        )
        assert explain_start(actor=world.actor("root"), vm=vm).refusal.rule == "job.active"

    def test_others_may_not_ask(self, world, vm):
        with pytest.raises(Missing):
            explain_start(actor=world.actor("charlie"), vm=vm)
