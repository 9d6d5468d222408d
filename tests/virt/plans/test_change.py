"""Machines changed while they run: what their run takes, what waits for the next start, and what is undone."""

import pytest

from broker.access.models import Quota
from broker.core.errors import Busy, Conflict, Denied, Invalid, OverQuota
from broker.events.models import Event
from broker.virt import cloud_init, pending, specs
from broker.virt.actions.apply_changes import apply_changes
from broker.virt.actions.change_cd import change_cd
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.delete_nic import delete_nic
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.give_vm import give_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.run_once import run_once
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.driver import DriverError, Running
from broker.virt.image_use import machines_with
from broker.virt.models import Image, Nic, PendingChange, VirtualMachine
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done, ended, fresh

ROOM = {"max_vcpus": 4, "max_memory_mib": 1024}


def change(vm, **wish):
    edit_vm(actor=SYSTEM, vm=fresh(vm), **wish)
    run_all()
    return fresh(vm)


def diff(vm):
    return {one.field: (one.now, one.then) for one in pending.differences(fresh(vm), pending.of(vm))}


def reason(vm, field):
    told = pending.of(vm).reasons.get(field)
    return told["message"] % told["params"] if told else None


@pytest.fixture
def vm(stage):
    return stage.make(vcpus=1, memory_mib=512, options=ROOM, start=True)


class TestSize:
    def test_a_run_grows_within_its_room_and_the_definition_follows(self, stage, vm):
        vm = change(vm, vcpus=3, memory_mib=768)
        assert (vm.vcpus, vm.memory_mib, diff(vm)) == (3, 768, {})
        assert stage.line.running(str(vm.pk)) == Running(3, 768, 768, tuple(nic.mac for nic in vm.nics.all()))
        seen = stage.line.observe_one(str(vm.pk))
        assert (seen.vcpus, seen.memory) == (3, 768 << 20)
        assert Event.objects.filter(kind="vm.changed").exists()

    @pytest.mark.parametrize(
        ("wish", "field", "words"),
        [
            ({"vcpus": 2, "memory_mib": 600}, "memory_mib", "by 128 MiB"),
            ({"vcpus": 2, "options": {"max_memory_mib": 2048}, "memory_mib": 2048}, "memory_mib", "1024 MiB"),
            ({"vcpus": 2, "memory_mib": 256}, "memory_mib", "keeps"),
        ],
    )
    def test_what_a_run_cannot_take_waits_with_its_reason_for_the_next_start(self, stage, vm, wish, field, words):
        vm = change(vm, **wish)
        assert (vm.vcpus, vm.memory_mib) == (2, 512)
        assert diff(vm)[field] == (512, wish["memory_mib"]) and words in reason(vm, field)
        done(power_off_vm(actor=SYSTEM, vm=vm))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert (fresh(vm).memory_mib, diff(vm)) == (wish["memory_mib"], {})
        assert stage.line.running(str(vm.pk)).memory_mib == wish["memory_mib"]

    def test_hardware_waits_without_a_job_and_can_be_undone(self, stage, vm):
        vm = change(vm, options={"video": "qxl", "tpm": True})
        assert diff(vm) == {"video": ("virtio", "qxl"), "tpm": (False, True)}
        vm = change(vm, options={"video": "virtio"})
        assert diff(vm) == {"tpm": (False, True)}, "back to what it is: nothing waits"
        vm = change(vm, vcpus=2, now=False)
        assert vm.vcpus == 1
        undo_changes(actor=SYSTEM, vm=vm, fields=["tpm", "nothing"])
        assert diff(vm) == {"vcpus": (1, 2)}
        done(apply_changes(actor=SYSTEM, vm=vm))
        assert (fresh(vm).vcpus, diff(vm)) == (2, {})
        with pytest.raises(Conflict):
            apply_changes(actor=SYSTEM, vm=fresh(vm))
        undo_changes(actor=SYSTEM, vm=fresh(vm))
        assert not PendingChange.objects.exists()

    def test_what_would_not_go_together_is_refused_also_with_what_waits(self, stage, vm):
        change(vm, options={"sockets": 4, "cores": 1, "threads": 1})
        with pytest.raises(Invalid):
            change(vm, options={"cores": 3})
        with pytest.raises(Invalid):
            change(vm, vcpus=5)

    def test_a_balloon_is_believed_when_the_guest_follows(self, stage, vm):
        vm = change(vm, options={"balloon_mib": 256})
        assert (vm.options["balloon_mib"], stage.line.running(str(vm.pk)).balloon_mib, diff(vm)) == (256, 256, {})
        stage.sim.ignore_power_button(str(vm.pk))  # deaf: follows nothing
        vm = change(vm, options={"balloon_mib": 128})
        for _ in range(25):
            run_all()
        assert (fresh(vm).options["balloon_mib"], diff(vm)) == (256, {"balloon_mib": (256, 128)})
        assert "256 MiB" in reason(vm, "balloon_mib")

    def test_an_error_of_the_host_is_told_and_harms_nothing(self, stage, vm):
        stage.sim.fail_next("plug_vcpus", DriverError("QEMU says no: %(why)s", why="full"))
        vm = change(vm, vcpus=2, memory_mib=640)
        assert (vm.vcpus, vm.memory_mib) == (1, 640)
        assert reason(vm, "vcpus") == "QEMU says no: full"

    def test_a_machine_that_stopped_meanwhile_keeps_what_waits(self, stage, vm):
        edit_vm(actor=SYSTEM, vm=vm, vcpus=2)
        stage.line.power_off(str(vm.pk))
        run_all()
        assert diff(vm) == {"vcpus": (1, 2)}
        VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off")
        edit_vm(actor=SYSTEM, vm=fresh(vm), title="x", memory_mib=640)
        assert (fresh(vm).vcpus, fresh(vm).memory_mib, diff(vm)) == (2, 640, {}), "off: all of it counts at once"

    def test_saved_memory_keeps_the_old_hardware(self, stage, vm):
        done(suspend_vm(actor=SYSTEM, vm=vm))
        vm = change(vm, vcpus=2)
        done(start_vm(actor=SYSTEM, vm=vm))
        assert (fresh(vm).vcpus, diff(vm)) == (1, {"vcpus": (1, 2)})

    def test_growth_counts_against_the_quota(self, stage, vm):
        VirtualMachine.objects.filter(pk=vm.pk).update(owner=stage.world.alice)
        Quota.objects.create(user=stage.world.alice, vcpus=2)
        stage.make("other", vcpus=1, start=True)
        VirtualMachine.objects.filter(name="other").update(owner=stage.world.alice)
        with pytest.raises(OverQuota):
            change(vm, vcpus=2)
        assert diff(vm) == {}

    def test_one_change_at_a_time(self, stage, vm):
        edit_vm(actor=SYSTEM, vm=vm, vcpus=2)
        with pytest.raises(Busy):
            edit_vm(actor=SYSTEM, vm=fresh(vm), vcpus=3)
        edit_vm(actor=SYSTEM, vm=fresh(vm), options={"video": "vga"})  # needs no job
        run_all()
        assert (fresh(vm).vcpus, diff(vm)) == (2, {"video": ("virtio", "vga")})


class TestCards:
    def test_cards_come_change_and_go_while_it_runs(self, stage, vm):
        lan = create_network(actor=SYSTEM, cluster=stage.world.cluster, name="lan", subnet="10.9.0.0/24")
        nic = create_nic(actor=SYSTEM, vm=vm, network=lan, in_kib=1000)
        assert not nic.plugged and list(diff(vm)) == [str(nic.pk)]
        run_all()
        nic.refresh_from_db()
        assert nic.plugged and nic.mac in stage.line.running(str(vm.pk)).cards and diff(vm) == {}
        edit_nic(actor=SYSTEM, nic=nic, connected=False, network=stage.world.network)
        run_all()
        nic.refresh_from_db()
        assert (nic.connected, nic.network, diff(vm)) == (False, stage.world.network, {})
        edit_nic(actor=SYSTEM, nic=nic, model="e1000e")
        run_all()
        assert diff(vm) == {str(nic.pk): ({"model": "virtio"}, {"model": "e1000e"})}
        assert "keeps its model" in reason(vm, str(nic.pk))
        undo_changes(actor=SYSTEM, vm=fresh(vm))
        delete_nic(actor=SYSTEM, nic=Nic.objects.get(pk=nic.pk))
        run_all()
        assert vm.nics.count() == 1 and nic.mac not in stage.line.running(str(vm.pk)).cards

    def test_a_card_the_guest_holds_goes_with_the_next_start(self, stage, vm):
        stage.sim.ignore_power_button(str(vm.pk))
        nic = vm.nics.get()
        delete_nic(actor=SYSTEM, nic=nic)
        for _ in range(25):
            run_all()
        assert diff(vm)[str(nic.pk)][1] is None and "does not let" in reason(vm, str(nic.pk))
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert not vm.nics.exists() and stage.line.running(str(vm.pk)).cards == ()

    def test_a_card_for_the_next_start_is_undone_or_taken_back(self, stage, vm):
        one = create_nic(actor=SYSTEM, vm=vm, network=stage.world.network, now=False)
        two = create_nic(actor=SYSTEM, vm=vm, network=stage.world.network, now=False, mac="52:54:00:AA:00:01")
        assert two.mac == "52:54:00:aa:00:01"
        edit_nic(actor=SYSTEM, nic=two, connected=False, now=False)
        undo_changes(actor=SYSTEM, vm=vm, fields=[str(one.pk)])
        assert set(diff(vm)) == {str(two.pk)} and vm.nics.count() == 2
        delete_nic(actor=SYSTEM, nic=two)
        assert diff(vm) == {} and vm.nics.count() == 1

    def test_what_cannot_be_is_refused(self, stage, vm):
        network, taken = stage.world.network, vm.nics.get()
        for wish, error in (
            ({"mac": taken.mac}, Conflict), ({"mac": "01:00:00:00:00:00"}, Invalid), ({"mac": "x"}, Invalid),
            ({"model": "ne2k"}, Invalid), ({"in_kib": -1}, Invalid), ({"guard": "all"}, Invalid),
        ):  # fmt: skip
            with pytest.raises(error):
                create_nic(actor=SYSTEM, vm=vm, network=network, **wish)
        assert vm.nics.count() == 1 and diff(vm) == {}


@pytest.fixture
def keeps_bytes(stage, monkeypatch):
    """A simulated host that takes the CDs of words, which have no contents there; what they would say is written."""
    written = []
    monkeypatch.setattr(cloud_init, "files", lambda *given: written.append(given) or {"meta-data": b"{}"})
    kind = type(stage.line)
    monkeypatch.setattr(
        kind, "store_volume",
        lambda line, storage, name, source, **rest: line.create_volume(storage, name, capacity=512, raw=True),
    )  # fmt: skip
    return written


class TestOnce:
    def test_one_start_boots_from_elsewhere_and_the_next_as_ever(self, stage):
        vm = stage.make()
        with pytest.raises(Invalid):
            run_once(actor=SYSTEM, vm=vm, boot="floppy")
        before = stage.line.definition(str(vm.pk))
        done(run_once(actor=SYSTEM, vm=vm, boot="network-disk"))
        with stage.sim.changing() as data:
            assert data["machines"][str(vm.pk)]["boot"] == "network-disk"
        assert stage.line.definition(str(vm.pk)) == before
        with pytest.raises(Conflict):
            run_once(actor=SYSTEM, vm=fresh(vm))
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        with stage.sim.changing() as data:
            assert data["machines"][str(vm.pk)]["boot"] == "disk"

    def test_one_start_has_another_cd_and_boots_from_it(self, stage):
        vm, place = stage.make(), stage.world.storage
        wish = {"kind": "iso", "storage": place, "size_bytes": 4096, "state": "ready"}
        cd = Image.objects.create(name="rescue", volume="rescue.iso", **wish)
        before = stage.line.definition(str(vm.pk))
        disk = Image.objects.create(name="d", volume="d.qcow2", **wish | {"kind": "disk"})
        with pytest.raises(Invalid) as wrong:
            run_once(actor=SYSTEM, vm=vm, cd=disk)
        assert wrong.value.field == "cd"
        done(run_once(actor=SYSTEM, vm=vm, cd=cd))
        with stage.sim.changing() as data:
            run = data["machines"][str(vm.pk)]
            assert (run["cd"], run["boot"]) == (specs.cd_spec(cd).path, "cdrom-disk")
        assert stage.line.definition(str(vm.pk)) == before and fresh(vm).cd is None
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        job = run_once(actor=SYSTEM, vm=fresh(vm), cd=cd, boot="disk-cdrom")
        cd.delete()
        assert ended(job).state == "failed" and "CD is gone" in job.cause

    def test_the_cd_of_one_start_is_kept_until_that_run_is_over(self, stage):
        vm, place = stage.make(), stage.world.storage
        stage.line.create_volume(specs.storage_spec(place), "rescue.iso", capacity=4096, raw=True)
        wish = {"kind": "iso", "storage": place, "size_bytes": 4096, "state": "ready", "volume": "rescue.iso"}
        cd = Image.objects.create(name="rescue", **wish)

        def refused():
            with pytest.raises(Conflict) as caught:
                delete_image(actor=SYSTEM, image=cd)
            assert (caught.value.rule, caught.value.reasons[0].subject) == ("image.in-drive", vm.name)
            assert list(machines_with(cd)) == [vm]
            return True

        job = run_once(actor=SYSTEM, vm=vm, cd=cd)
        assert refused(), "a start that waits will put it in"
        done(job)
        assert refused()
        done(suspend_vm(actor=SYSTEM, vm=fresh(vm)))
        assert refused(), "saved memory goes on with it"
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert refused()
        done(change_cd(actor=SYSTEM, vm=fresh(vm)))  # out of the drive, so no machine needs it any more
        assert not machines_with(cd).exists()
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(run_once(actor=SYSTEM, vm=fresh(vm), cd=cd))
        assert refused()
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert fresh(vm).power_state == "running" and not machines_with(cd).exists()
        done(delete_image(actor=SYSTEM, image=cd))
        assert not Image.objects.exists() and fresh(vm).run_cd is None

    def test_cloud_init_has_another_first_start(self, stage, keeps_bytes):
        vm, written = stage.make(cloud_init={"user": "alice"}), keeps_bytes
        seed = f"seed-{vm.pk}.iso"
        assert written.pop()[0] == str(vm.pk)
        done(run_once(actor=SYSTEM, vm=vm, cloud_init_again=True))
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(run_once(actor=SYSTEM, vm=fresh(vm), cloud_init={"user": "bob"}))
        (first, alice, _), (second, bob, _) = written
        assert (alice["user"], bob["user"]) == ("alice", "bob")
        assert first != second and first.startswith(f"{vm.pk}-") and second.startswith(f"{vm.pk}-")
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        stage.line.delete_volume(specs.storage_spec(stage.world.storage), seed)
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert written[2:] == [(second, bob, written[1][2])], "a CD that was lost is made again, and is the same"
        assert seed in stage.volumes()

    def test_words_are_for_those_who_may_change_it_and_a_machine_without_any_gets_them(self, stage, keeps_bytes):
        vm = stage.make()
        stage.world.grant(stage.world.bob, "vm-user", vm)
        with pytest.raises(Denied):
            run_once(actor=stage.world.actor("bob"), vm=vm, cloud_init={"user": "bob", "password": "let me in"})
        with pytest.raises(Invalid) as caught:
            run_once(actor=SYSTEM, vm=vm, cloud_init_again=True)
        assert caught.value.field == "cloud_init_again"
        done(run_once(actor=SYSTEM, vm=vm, cloud_init={"user": "bob"}))
        assert fresh(vm).seed_on == stage.world.storage and f"seed-{vm.pk}.iso" in stage.volumes()
        done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
        assert not stage.volumes()


class TestClone:
    def test_a_full_copy_with_addresses_of_its_own(self, stage):
        vm = stage.make(vcpus=2, options={"tpm": True})
        edit_vm(actor=SYSTEM, vm=vm, tags=["web"], own_fields={"centre": "4711"}, notes="x")
        copy = fresh(done(clone_vm(actor=SYSTEM, vm=fresh(vm), name="copy", start=True)).subject_id)
        assert (copy.vcpus, copy.options, copy.notes, copy.linked) == (2, {"tpm": True}, "x", False)
        assert [tag.name for tag in copy.tags.all()] == ["web"]
        assert copy.nics.get().mac != vm.nics.get().mac and copy.nics.get().network == vm.nics.get().network
        assert stage.volumes() == {vm.disks.get().volume, copy.disks.get().volume}
        assert stage.machines() == {"desk-1": "off", "copy": "running"}

    def test_one_that_runs_is_refused_and_one_started_meanwhile_leaves_nothing(self, stage):
        vm = stage.make()
        job = clone_vm(actor=SYSTEM, vm=vm, name="copy")
        stage.line.start(str(vm.pk))
        assert ended(job).state == "failed"
        assert not VirtualMachine.objects.filter(name="copy").exists()
        with pytest.raises(Conflict):
            clone_vm(actor=SYSTEM, vm=fresh(vm), name="copy")

    def test_sealing_where_there_are_no_bytes_is_refused_and_undone(self, stage):
        vm = stage.make()
        job = ended(clone_vm(actor=SYSTEM, vm=vm, name="copy", seal=True))
        assert job.state == "failed" and "sealed" in job.cause
        assert stage.volumes() == {vm.disks.get().volume}


class TestNotes:
    def test_rename_while_off_and_on_the_host_with_the_next_start(self, stage):
        vm, other = stage.make("one", start=True), stage.make("two")
        with pytest.raises(Conflict):
            edit_vm(actor=SYSTEM, vm=vm, name="three")
        with pytest.raises(Conflict):
            edit_vm(actor=SYSTEM, vm=other, name="one")
        edit_vm(actor=SYSTEM, vm=other, name="three")
        done(start_vm(actor=SYSTEM, vm=fresh(other)))
        assert stage.machines() == {"one": "running", "three": "running"}

    @pytest.mark.parametrize(
        "wish",
        [
            {"tags": ["a b"]}, {"tags": [f"t{n}" for n in range(33)]}, {"own_fields": {"a b": "x"}},
            {"own_fields": {"a": "x" * 256}}, {"own_fields": ["a"]}, {"notes": "\x00"}, {"name": "../x"},
        ],
    )  # fmt: skip
    def test_what_cannot_be_noted_is_refused(self, stage, wish):
        vm = stage.make()
        with pytest.raises(Invalid):
            edit_vm(actor=SYSTEM, vm=vm, **wish)

    def test_it_is_given_away_with_the_rights_and_the_quota(self, stage):
        vm, world = stage.make(), stage.world
        give_vm(actor=SYSTEM, vm=vm, owner=world.alice)
        Quota.objects.create(user=world.bob, machines=0)
        with pytest.raises(OverQuota):
            give_vm(actor=world.actor("alice"), vm=fresh(vm), owner=world.bob)
        Quota.objects.all().delete()
        give_vm(actor=world.actor("alice"), vm=fresh(vm), owner=world.bob)
        assert fresh(vm).owner == world.bob
        with pytest.raises(Denied):
            world.grant(world.alice, "viewer", vm)
            give_vm(actor=world.actor("alice"), vm=fresh(vm), owner=world.alice)
