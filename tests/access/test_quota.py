"""Quotas: what counts for whom, what is refused, what is let through with a warning, and what it costs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access import quota as quotas
from broker.access.actions.create_quota import create_quota
from broker.access.actions.edit_quota import edit_quota
from broker.access.actor import Actor
from broker.access.models import Quota
from broker.access.quota import GIB, Amount
from broker.access.usage import uses
from broker.core.errors import OverQuota
from broker.directories.models import Group
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Cluster, VirtualMachine
from broker.virt.quotas import claim_start
from pools.actions.allocate import allocate
from pools.actions.assign import assign
from pools.models import Desktop

from .scene import whose_quota


def used(**which) -> Amount:
    return quotas.meter().used(**which)


class TestWhatCounts:
    def test_of_a_persons_own_machines(self, scene):
        alice = scene.world.alice
        scene.machine(owner=alice)
        scene.machine(owner=alice, power="running")
        scene.machine(owner=alice, power="paused", size=5 * GIB)
        scene.machine(owner=alice, power="suspended")
        scene.machine(owner=scene.world.bob, power="running")
        assert used(people=[alice.pk]) == Amount(
            vcpus=4, memory_mib=2048, disk_bytes=35 * GIB, machines=4, running=2
        )  # fmt: skip

    def test_a_held_desktop_costs_its_holder_its_running_and_its_cluster_both(self, scene):
        world = scene.world
        scene.pool(holder=world.alice, size=2)
        scene.pool("waiting", size=1)
        assert used(people=[world.alice.pk]) == Amount(vcpus=4, memory_mib=2048, running=2)
        assert used(cluster=world.cluster.pk) == Amount(
            vcpus=6, memory_mib=3072, disk_bytes=30 * GIB, machines=3, running=3
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("plan", "args", "counts"),
        [
            ("vm.start", {}, True), ("vm.create", {"start": True}, True), ("vm.create", {"start": False}, False),
            ("vm.reset-disks", {"start": True}, True), ("vm.shutdown", {}, False),
        ],
    )  # fmt: skip
    def test_what_is_being_started_runs_already(self, scene, plan, args, counts):
        vm = scene.machine(owner=scene.world.alice)
        job = Job.objects.create(plan=plan, title="x", args=args, subject_kind="vm", subject_id=vm.pk, actor_name="x")
        assert used(people=[scene.world.alice.pk]).running == int(counts)
        Job.objects.filter(pk=job.pk).update(state="failed")
        assert used(people=[scene.world.alice.pk]).running == 0

    def test_the_table_of_all_says_the_same_as_asking_one_by_one(self, scene):
        world = scene.world
        other = Cluster.objects.create(name="other")
        scene.machine(owner=world.alice, power="running", size=7 * GIB)
        scene.machine(owner=world.alice, cluster=other, vcpus=4)
        scene.pool(holder=world.bob, size=2)
        scene.pool("waiting", size=1)
        table = quotas.meter().by_person()
        for person in (world.alice, world.bob):
            for cluster in (world.cluster, other):
                assert table.get((person.pk, cluster.pk), Amount()) == used(people=[person.pk], cluster=cluster.pk)
        for cluster in (world.cluster, other):
            amounts = [amount for (_person, where), amount in table.items() if where == cluster.pk]
            assert sum(amounts, Amount()) == used(cluster=cluster.pk)


class TestRefusals:
    def test_a_start_over_the_limit_names_the_rule_and_what_helps(self, scene):
        world = scene.world
        Quota.objects.create(user=world.alice, running=1)
        scene.machine(owner=world.alice, power="running")
        vm = scene.machine(owner=world.alice)
        with pytest.raises(OverQuota) as refused:
            start_vm(actor=world.actor("root"), vm=vm)
        error = refused.value
        assert error.rule == "quota.running" and error.code == "over-quota"
        assert error.message == (
            "The quota of alice does not allow it: 1 of 1 running machines are used, 1 more needed."
        )
        assert "administrator" in error.fix
        assert [(reason.rule, reason.kind) for reason in error.reasons] == [("quota.running", "quota")]
        assert not Job.objects.exists()

    @pytest.mark.parametrize(
        ("limits", "rule"),
        [
            ({"machines": 1}, "quota.machines"), ({"disk_gib": 13}, "quota.disk-gib"),
            ({"vcpus": 0}, "quota.vcpus"), ({"memory_mib": 511}, "quota.memory-mib"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("whose", ["user", "group", "each", "cluster", "user in cluster"])
    def test_making_a_machine(self, scene, limits, rule, whose):
        world = scene.world
        Quota.objects.create(**whose_quota(world, whose), **limits)
        scene.machine(owner=world.bob)  # the template's disk has 4 GiB more
        world.grant(world.bob, "power-user", world.cluster)
        with pytest.raises(OverQuota) as refused:
            create_vm(actor=world.actor("bob"), name="more", version=world.version)
        assert refused.value.rule == rule
        assert not VirtualMachine.objects.filter(name="more").exists()

    def test_what_fits_is_let_through_up_to_the_very_limit(self, scene):
        world = scene.world
        Quota.objects.create(user=world.bob, machines=2, disk_gib=14, running=1, vcpus=1, memory_mib=512)
        scene.machine(owner=world.bob)
        world.grant(world.bob, "power-user", world.cluster)
        job = create_vm(actor=world.actor("bob"), name="more", version=world.version, start=True)
        assert VirtualMachine.objects.get(pk=job.subject_id).owner == world.bob
        assert used(people=[world.bob.pk]) == Amount(1, 512, 14 * GIB, 2, 1)

    def test_a_running_desktop_that_is_handed_over(self, scene):
        world = scene.world
        pool = scene.pool()
        Quota.objects.create(user=world.alice, running=1)
        allocate(actor=world.actor("alice"), pool=pool)
        with pytest.raises(OverQuota):
            allocate(actor=world.actor("alice"), pool=pool)
        assert Desktop.objects.filter(holder=world.alice).count() == 1
        with pytest.raises(OverQuota):
            assign(actor=world.actor("root"), desktop=Desktop.objects.filter(holder=None)[0], user=world.alice)

    def test_coming_back_to_a_running_desktop_is_never_refused(self, scene):
        world = scene.world
        pool = scene.pool(max_per_user=1)
        mine = allocate(actor=world.actor("alice"), pool=pool).desktop
        Quota.objects.create(user=world.alice, running=0, vcpus=0)
        assert allocate(actor=world.actor("alice"), pool=pool).desktop == mine

    def test_a_desktop_that_is_off_is_paid_by_its_holder_when_it_starts(self, scene):
        world = scene.world
        pool = scene.pool(power="off")
        Quota.objects.create(user=world.alice, vcpus=3)
        allocate(actor=world.actor("alice"), pool=pool)
        with pytest.raises(OverQuota):
            allocate(actor=world.actor("alice"), pool=pool)
        allocate(actor=world.actor("bob"), pool=pool)

    def test_a_pools_desktop_is_made_within_its_clusters_quota_and_not_the_users(self, scene):
        world = scene.world
        system = Actor.system("pool:desk")
        Quota.objects.create(user=world.alice, machines=0)
        create_vm(actor=system, name="one", version=world.version)
        Quota.objects.create(cluster=world.cluster, machines=1)
        with pytest.raises(OverQuota):
            create_vm(actor=system, name="two", version=world.version)

    def test_a_quota_elsewhere_does_not_count(self, scene):
        world = scene.world
        other = Cluster.objects.create(name="other")
        Quota.objects.create(cluster=other, machines=0)
        Quota.objects.create(user=world.root, cluster=other, machines=0)
        Quota.objects.create(group=world.staff, machines=0)
        create_vm(actor=world.actor("root"), name="one", version=world.version)

    def test_of_each_member_or_of_all_together(self, scene):
        world = scene.world
        world.staff.members.add(world.alice)
        each = Quota.objects.create(group=world.staff, each=True, running=1)
        first, second = scene.machine(owner=world.alice), scene.machine(owner=world.bob)
        start_vm(actor=world.actor("root"), vm=first)
        start_vm(actor=world.actor("root"), vm=second)
        each.delete()
        Quota.objects.create(group=world.staff, running=2)
        with pytest.raises(OverQuota):
            start_vm(actor=world.actor("root"), vm=scene.machine(owner=world.bob))

    def test_a_size_that_could_never_be_started_is_refused_when_it_is_chosen(self, scene):
        world = scene.world
        Quota.objects.create(user=world.alice, vcpus=2, memory_mib=1024)
        vm = scene.machine(owner=world.alice)
        with pytest.raises(OverQuota) as refused:
            edit_vm(actor=world.actor("root"), vm=vm, vcpus=3)
        assert refused.value.rule == "quota.vcpus"
        edit_vm(actor=world.actor("root"), vm=vm, vcpus=1)
        Quota.objects.update(vcpus=0, memory_mib=0)
        edit_vm(actor=world.actor("root"), vm=vm, title="Still mine", memory_mib=512)

    def test_fresh_disks_of_a_larger_version_count(self, scene):
        world = scene.world
        vm = scene.machine(owner=world.alice, size=world.version.size_bytes)
        larger = type(world.version).objects.create(
            template=world.template, number=2, state="ready", storage=world.storage, volume="two.qcow2",
            size_bytes=9 * GIB,
        )  # fmt: skip
        Quota.objects.create(user=world.alice, disk_gib=8)
        with pytest.raises(OverQuota) as refused:
            reset_disks(actor=world.actor("root"), vm=vm, version=larger)
        assert refused.value.rule == "quota.disk-gib"
        reset_disks(actor=world.actor("root"), vm=vm)


class TestModesAndGrace:
    def start(self, scene, vm):
        start_vm(actor=scene.world.actor("root"), vm=vm)
        return list(Event.objects.filter(kind__startswith="quota.").order_by("id").values_list("kind", flat=True))

    def test_off_does_nothing(self, scene):
        Quota.objects.create(user=scene.world.alice, running=0, mode="off")
        assert self.start(scene, scene.machine(owner=scene.world.alice)) == []

    def test_audit_lets_through_and_says_so(self, scene):
        Quota.objects.create(user=scene.world.alice, running=0, mode="audit")
        assert self.start(scene, scene.machine(owner=scene.world.alice)) == ["quota.exceeded"]
        event = Event.objects.get(kind="quota.exceeded")
        assert event.message == "alice now uses 1 of 0 running machines (machine-1)" and event.severity == "warning"

    def test_grace_lets_a_little_more_through_and_says_so(self, scene):
        alice = scene.world.alice
        Quota.objects.create(user=alice, vcpus=10, grace_percent=20, threshold_percent=100)
        assert self.start(scene, scene.machine(owner=alice, vcpus=10)) == []
        assert self.start(scene, scene.machine(owner=alice, vcpus=2)) == ["quota.exceeded"]
        with pytest.raises(OverQuota):
            self.start(scene, scene.machine(owner=alice, vcpus=1))

    def test_the_threshold_is_told_when_it_is_crossed_and_not_again(self, scene):
        alice = scene.world.alice
        Quota.objects.create(user=alice, vcpus=10, threshold_percent=50)
        assert self.start(scene, scene.machine(owner=alice, vcpus=5)) == []
        assert self.start(scene, scene.machine(owner=alice, vcpus=1)) == ["quota.threshold"]
        assert self.start(scene, scene.machine(owner=alice, vcpus=1)) == ["quota.threshold"]

    def test_lowering_a_limit_takes_nothing_away(self, scene):
        alice = scene.world.alice
        row = Quota.objects.create(user=alice, running=2)
        vm = scene.machine(owner=alice, power="running")
        edit_quota(actor=scene.world.actor("root"), quota=row, running=0)
        vm.refresh_from_db()
        assert vm.power_state == "running"


class TestCost:
    def test_without_a_quota_in_force_a_start_asks_one_question_more(self, scene):
        vm, actor = scene.machine(owner=scene.world.alice), scene.world.actor("root")
        for _round in range(2):
            with CaptureQueriesContext(connection) as queries:
                claim_start(actor, vm)
            assert len(queries) == 1
            Quota.objects.get_or_create(user=scene.world.alice, running=0, mode="off")

    def test_the_use_of_all_costs_the_same_for_any_number(self, scene):
        world = scene.world
        root = world.actor("root")

        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                uses(Quota.objects.all())
            return len(queries)

        create_quota(actor=root, user=world.alice, running=1)
        create_quota(actor=root, group=world.staff, running=1)
        scene.machine(owner=world.bob, power="running")
        few = cost()
        for number in range(5):
            group = Group.objects.create(directory=world.directory, name=f"group-{number}")
            group.members.add(world.alice, world.bob)
            create_quota(actor=root, group=group, each=True, running=1)
            scene.machine(owner=world.bob, power="running")
        assert cost() == few <= 6

    def test_the_use_of_a_group_of_each_is_that_of_whoever_uses_most(self, scene):
        world = scene.world
        world.staff.members.add(world.alice)
        row = Quota.objects.create(group=world.staff, each=True, running=4, disk_gib=100)
        for owner in (world.alice, world.bob, world.bob, world.charlie):
            scene.machine(owner=owner, power="running")
        use = {one.resource: one for one in uses([row])[row.pk]}
        assert (use["running"].used, use["running"].by, use["running"].percent) == (2, world.bob.pk, 50)
        own = {one.resource: one.used for one in uses([row], of=world.alice.pk)[row.pk]}
        assert own == {"running": 1, "disk_gib": 10}
