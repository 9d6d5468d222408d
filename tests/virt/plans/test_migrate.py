"""vm.migrate over simulated hosts: where the machine is afterwards, whatever happens on the way."""

from uuid import uuid4

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.access.actor import Actor
from broker.core.errors import Busy, Conflict, Denied, Invalid, NoCapacity
from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt import hosts, specs
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.driver import PowerState, Refused, SavedPoints
from broker.virt.drivers import simulated
from broker.virt.models import Host, Snapshot, StorageDomain, VirtualMachine
from broker.virt.placement.gather import hosts_of
from tests.virt.actions.stage import SYSTEM, Stage, done, ended, fresh


class Pair(Stage):
    """The stage's host and a second one that see the same storage; a machine runs on the first."""

    def __init__(self) -> None:
        super().__init__()
        site = uuid4().hex
        Host.objects.filter(pk=self.world.host.pk).update(uri=f"sim://left-{site}?site={site}", name="left")
        self.world.host.refresh_from_db()
        left = self.world.host
        right = Host.objects.create(
            cluster=self.world.cluster, name="right", driver="simulated", uri=f"sim://right-{site}?site={site}",
            cpus=8, memory_bytes=64 << 30, memory_free_bytes=64 << 30, graphics=["vnc"], state="maintenance",
        )  # fmt: skip
        storage = specs.storage_spec(self.world.storage)
        self.line.ensure_storage(storage)
        self.line.create_volume(storage, self.world.version.volume, capacity=self.world.version.size_bytes)
        self.left, self.right = left, right
        self.worlds = {host.name: simulated.world(host.uri) for host in (left, right)}

    def running(self, **wish) -> VirtualMachine:
        vm = self.make(start=True, **wish)
        Host.objects.filter(pk=self.right.pk).update(state="active")
        return vm

    def power(self, host: Host, vm: VirtualMachine) -> PowerState:
        return hosts.connection(host).observe_one(str(vm.pk)).power

    def slow(self, **pace) -> None:
        simulated.order_moves(self.worlds["left"], **pace)

    def is_on(self, host: Host, vm: VirtualMachine) -> None:
        """Exactly there, in the rows and in the world."""
        other = self.right if host == self.left else self.left
        vm = fresh(vm)
        assert (vm.host, vm.moving_to, vm.power_state) == (host, None, PowerState.RUNNING)
        assert (self.power(host, vm), self.power(other, vm)) == (PowerState.RUNNING, PowerState.MISSING)


@pytest.fixture
def pair(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Pair()


def step(job) -> None:
    """One turn of a worker."""
    type(job).objects.filter(pk=job.pk).update(next_run_at=job.created_at)
    Runner().run(job.pk)
    job.refresh_from_db()


def test_it_moves_and_goes_on_as_the_same_run(pair):
    vm = pair.running()
    boot = vm.boot_id
    done(migrate_vm(actor=SYSTEM, vm=vm))
    pair.is_on(pair.right, vm)
    vm = fresh(vm)
    assert (vm.boot_id, vm.definition) == (boot, vm.observed_definition)
    assert "right" in vm.consoles[0]["unix"]
    told = Event.objects.get(kind="vm.migrated").params
    assert (told["source"], told["host"], told["downtime"]) == ("left", "right", "50")
    assert not Event.objects.filter(kind__startswith="vm.changed-outside").exists()


def test_while_it_moves_its_memory_is_promised_there(pair):
    vm = pair.running()
    pair.slow(seconds=3600)
    job = migrate_vm(actor=SYSTEM, vm=vm, host=pair.right)
    step(job)
    assert fresh(vm).moving_to == pair.right
    load = {one.name: (one.machines, one.promised >> 20) for one in hosts_of(vm.cluster_id)}
    assert load == {"left": (0, 0), "right": (1, vm.memory_mib)}
    assert (job.message, int(job.message_params["passes"])) == (
        "%(percent)s %% of its memory moved, %(mib)s MiB left, pass %(passes)s", 1,
    )  # fmt: skip
    cancel_job(actor=SYSTEM, job=job)
    assert ended(job).state == "cancelled"
    pair.is_on(pair.left, vm)


def test_cancelled_too_late_it_has_moved(pair):
    vm = pair.running()
    pair.slow(seconds=3600)
    job = migrate_vm(actor=SYSTEM, vm=vm)
    step(job)
    pair.slow(seconds=0)
    cancel_job(actor=SYSTEM, job=job)
    with pair.worlds["left"].changing() as data:
        data["machines"][str(vm.pk)]["move"]["seconds"] = 0.0
    assert ended(job).state == "cancelled"
    pair.is_on(pair.right, vm)


@pytest.mark.parametrize(("policy", "state"), [("minimal-downtime", "failed"), ("suspend-if-needed", "succeeded"),
                                               ("post-copy", "succeeded")])  # fmt: skip
def test_a_guest_that_does_not_converge_meets_the_policy(pair, policy, state, monkeypatch):
    """Fault F41 of docs/faults.md."""
    from broker.virt.plans import vm_migrate

    vm = pair.running()
    pair.slow(seconds=0, needs_ms=2000)
    monkeypatch.setattr(vm_migrate, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(vm_migrate, "LOOK_EVERY_AT_FIRST", 0.0)
    job = migrate_vm(actor=SYSTEM, vm=vm, policy=policy)
    line, passes = hosts.connection(pair.left), iter(range(1, 100))
    plain = type(line).migration

    def counted(self, uuid):
        stats = plain(self, uuid)
        return stats and type(stats)(
            total=stats.total, remaining=1 << 20, passes=next(passes), post_copy=stats.post_copy
        )

    monkeypatch.setattr(type(line), "migration", counted)
    assert ended(job).state == state
    pair.is_on(pair.left if state == "failed" else pair.right, vm)
    if state == "failed":
        assert job.error["rule"] == "migration.converge"


def test_a_target_lost_on_the_way_leaves_it_where_it_was(pair):
    """Fault F41 of docs/faults.md."""
    vm = pair.running()
    pair.slow(seconds=3600)
    job = migrate_vm(actor=SYSTEM, vm=vm)
    step(job)
    pair.worlds["right"].unplug()
    assert ended(job).state == "failed"
    assert job.error["rule"] == "migration.broken-off"
    pair.worlds["right"].plug()
    hosts.forget(pair.right)
    pair.is_on(pair.left, vm)


def test_a_source_that_cannot_is_told_and_nothing_is_left_behind(pair):
    vm = pair.running()
    pair.worlds["left"].fail_next("begin_migration", Refused("the processors differ"))
    job = migrate_vm(actor=SYSTEM, vm=vm)
    assert ended(job).state == "failed"
    assert "the processors differ" in str(job.error)
    pair.is_on(pair.left, vm)


def test_snapshots_go_along_and_come_back(pair):
    vm = pair.running()
    points = SavedPoints(snapshots=("<one/>", "<two/>"), current="two")
    hosts.connection(pair.left).restore_points(str(vm.pk), points)
    done(migrate_vm(actor=SYSTEM, vm=vm))
    assert hosts.connection(pair.right).saved_points(str(vm.pk)) == points
    pair.worlds["right"].fail_next("begin_migration", Refused("no"))
    assert ended(migrate_vm(actor=SYSTEM, vm=fresh(vm))).state == "failed"
    assert hosts.connection(pair.right).saved_points(str(vm.pk)) == points


def test_disks_of_one_host_are_copied_along(pair):
    vm = pair.running()
    StorageDomain.objects.filter(pk=pair.world.storage.pk).update(host=pair.left)
    there = StorageDomain.objects.create(
        cluster=pair.world.cluster, name="there", path="/there", host=pair.right, capacity_bytes=1 << 40,
        available_bytes=1 << 40,
    )  # fmt: skip
    disk = vm.disks.get()
    before = Snapshot.objects.create(vm=vm, name="before")
    with pytest.raises(Conflict) as caught:
        migrate_vm(actor=SYSTEM, vm=vm)
    assert caught.value.rule == "snapshot.none"
    before.delete()
    done(migrate_vm(actor=SYSTEM, vm=vm))
    pair.is_on(pair.right, vm)
    moved = vm.disks.get()
    assert (moved.storage, moved.path) == (there, f"/there/{disk.volume}")
    assert moved.path in hosts.connection(pair.right).definition(str(vm.pk))
    assert hosts.connection(pair.right).volume(specs.storage_spec(there), disk.volume)
    assert pair.volumes() == set()
    assert fresh(vm).linked is False


def test_what_is_refused_at_once(pair):
    vm = pair.running()
    stranger = Host.objects.create(
        cluster=type(pair.world.cluster).objects.create(name="far"), name="far", driver="simulated", uri="sim://far"
    )
    with pytest.raises(Invalid):
        migrate_vm(actor=SYSTEM, vm=vm, host=stranger)
    with pytest.raises(Invalid):
        migrate_vm(actor=SYSTEM, vm=vm, policy="fastest")
    with pytest.raises(NoCapacity) as caught:
        migrate_vm(actor=SYSTEM, vm=vm, host=pair.left)
    assert [reason.rule for reason in caught.value.reasons] == ["present"]
    Host.objects.filter(pk=pair.right.pk).update(error="gone")
    with pytest.raises(NoCapacity):
        migrate_vm(actor=SYSTEM, vm=vm)
    with pytest.raises(Denied):
        pair.world.grant(pair.world.alice, "vm-user", vm)
        migrate_vm(actor=Actor.for_user(pair.world.alice), vm=vm)
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state=PowerState.OFF)
    with pytest.raises(Conflict):
        migrate_vm(actor=SYSTEM, vm=fresh(vm))


def test_of_one_host_only_some_leave_at_once(pair):
    machines = [pair.make(name=f"desk-{number}", start=True) for number in range(3)]
    Host.objects.filter(pk=pair.right.pk).update(state="active")
    pair.slow(seconds=3600)
    jobs = [migrate_vm(actor=SYSTEM, vm=vm) for vm in machines]
    for job in jobs:
        step(job)
    assert [bool(fresh(vm).moving_to) for vm in machines] == [True, True, False]
    assert jobs[2].message == "Waiting until other machines have left %(host)s"
    with pair.worlds["left"].changing() as data:
        data["moves"]["seconds"] = 0.0
        for machine in data["machines"].values():
            machine.get("move", {}).update(seconds=0.0)
    for job in jobs:
        done(job)
    for vm in machines:
        pair.is_on(pair.right, vm)


def resize(*, actor, vm):
    edit_vm(actor=actor, vm=vm, vcpus=vm.vcpus + 1)


@pytest.mark.parametrize(("first", "second"), [(resize, migrate_vm), (migrate_vm, resize)])
def test_of_two_who_resize_and_move_it_one_is_let_through(pair, first, second):
    """Row F28 of docs/faults.md: the second is told what is under way, whichever it is."""
    vm = pair.running(options={"max_vcpus": 4})
    first(actor=SYSTEM, vm=fresh(vm))
    (job,) = Job.objects.filter(subject_id=vm.pk, state="queued")
    with pytest.raises(Busy) as refusal:
        second(actor=SYSTEM, vm=fresh(vm))
    assert refusal.value.fix and list(Job.objects.filter(subject_id=vm.pk, state="queued")) == [job]
    assert fresh(vm).vcpus == vm.vcpus
