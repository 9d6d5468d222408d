"""What every hypervisor driver must do, run against each driver there is (see harness.py)."""

import threading
import uuid
from dataclasses import replace

import pytest

from broker.core.errors import Invalid
from broker.virt.driver import (
    DiskSpec,
    EventKind,
    HostConnection,
    HostUnreachable,
    NetworkSpec,
    NicSpec,
    NotFound,
    PowerState,
    Refused,
    StorageSpec,
)
from broker.virt.drivers import known, load
from tests.contracts.harness import HARNESSES
from tests.lab.fixtures import read_until, wait_for_power

NOBODY = "11111111-2222-3333-4444-555555555555"
KEY_A = 30


def test_every_driver_has_a_harness():
    assert set(known()) == set(HARNESSES)


@pytest.mark.parametrize("name", known())
def test_a_driver_offers_what_the_protocol_says(name):
    driver = load(name)
    assert driver.name == name
    assert callable(driver.connect)


def test_an_unknown_driver_is_refused():
    with pytest.raises(Invalid):
        load("nothing")


class TestHost:
    def test_is_a_whole_connection(self, host):
        assert isinstance(host, HostConnection)
        assert host.alive()

    def test_facts(self, host):
        facts = host.facts()
        uuid.UUID(facts.uuid)
        assert facts.hostname and facts.hypervisor and facts.manager
        assert facts.cpus >= 1 and facts.memory > 0
        assert facts.emulated is bool(facts.emulated_reason)
        assert "vnc" in facts.graphics

    def test_facts_stay_the_same(self, host):
        assert replace(host.facts(), memory=0, memory_free=0) == replace(host.facts(), memory=0, memory_free=0)

    def test_a_foreign_uri_is_refused(self, driver_name):
        with pytest.raises(Invalid):
            load(driver_name).connect("gopher://nowhere/")

    def test_closing_twice(self, host):
        host.close()
        host.close()
        assert not host.alive()


class TestDefinitions:
    def test_a_new_machine_is_off_and_ours(self, host, machine, spec):
        (seen,) = [one for one in host.observe() if one.uuid == machine]
        assert (seen.name, seen.power, seen.mark) == ("one", PowerState.OFF, "mark-1")
        assert (seen.vcpus, seen.memory, seen.boot_id, seen.consoles) == (1, 32 << 20, "", ())
        assert seen.definition

    def test_defining_twice_changes_nothing(self, host, machine, spec, events):
        before = host.observe_one(machine).definition
        host.define(spec)
        assert host.observe_one(machine).definition == before

    def test_a_change_of_the_spec_arrives(self, host, machine, spec):
        before = host.observe_one(machine)
        host.define(replace(spec, memory_mib=48, vcpus=2, title="Two <cores> & “quotes”"))
        after = host.observe_one(machine)
        assert (after.memory, after.vcpus) == (48 << 20, 2)
        assert after.definition != before.definition
        assert "cores" in host.definition(machine)

    def test_a_new_name(self, host, machine, spec):
        host.define(replace(spec, name="renamed"))
        assert host.observe_one(machine).name == "renamed"

    def test_a_name_is_given_once(self, host, machine, spec):
        with pytest.raises(Refused):
            host.define(replace(spec, uuid=str(uuid.uuid4())))

    @pytest.mark.parametrize("name", ["", "a/b", "../up", "a,b", "-x", "json:{}", "a\nb", "a\0b", "x" * 10_000, "a b"])
    def test_a_bad_name_is_refused(self, host, spec, name):
        with pytest.raises(Invalid):
            host.define(replace(spec, name=name))
        assert host.observe() == ()

    @pytest.mark.parametrize("path", ["", "rel.qcow2", "json:{}", "/a/../b", "/a,b", "nbd://host/x", "/a\nb"])
    def test_a_bad_path_is_refused(self, host, spec, path):
        with pytest.raises(Invalid):
            host.define(replace(spec, disks=(DiskSpec(path=path, format="qcow2", target="vda"),)))
        assert host.observe() == ()

    def test_undefine_twice(self, host, machine):
        host.undefine(machine)
        host.undefine(machine)
        assert host.observe() == ()
        assert host.observe_one(machine).power is PowerState.MISSING

    def test_a_running_machine_is_not_undefined(self, host, machine):
        host.start(machine)
        with pytest.raises(Refused):
            host.undefine(machine)
        assert host.observe_one(machine).power is PowerState.RUNNING

    def test_the_definition_of_nothing(self, host):
        with pytest.raises(NotFound):
            host.definition(NOBODY)

    def test_the_definition_is_the_same_after_a_run(self, host, machine):
        before = host.observe_one(machine).definition
        host.start(machine)
        assert host.observe_one(machine).definition == before
        host.power_off(machine)
        assert host.observe_one(machine).definition == before


class TestPower:
    def test_start_and_power_off_twice(self, host, machine):
        for _ in range(2):
            host.start(machine)
        seen = host.observe_one(machine)
        assert seen.power is PowerState.RUNNING
        assert seen.boot_id
        assert [console.kind for console in seen.consoles] == ["vnc"]
        assert seen.consoles[0].unix
        for _ in range(2):
            host.power_off(machine)
        seen = host.observe_one(machine)
        assert (seen.power, seen.boot_id, seen.consoles) == (PowerState.OFF, "", ())

    def test_each_run_has_a_boot_id_of_its_own(self, host, machine):
        seen = set()
        for _ in range(3):
            host.start(machine)
            seen.add(host.observe_one(machine).boot_id)
            assert host.observe_one(machine).boot_id in seen
            host.power_off(machine)
        assert len(seen) == 3

    def test_the_power_button_reaches_the_guest(self, host, machine):
        host.start(machine)
        with host.serial(machine) as line:
            read_until(line, b"LAB-UP")
        host.shutdown(machine, via="acpi")
        wait_for_power(host, machine, PowerState.OFF)
        host.shutdown(machine, via="acpi")  # done already

    def test_shutdown_by_the_agent(self, host, machine, harness):
        host.start(machine)
        if harness.agent:
            host.shutdown(machine, via="agent")
            wait_for_power(host, machine, PowerState.OFF)
        else:
            with pytest.raises(Refused):
                host.shutdown(machine, via="agent")
            assert host.observe_one(machine).power is PowerState.RUNNING

    def test_pause_and_resume_twice(self, host, machine):
        host.start(machine)
        run = host.observe_one(machine).boot_id
        for _ in range(2):
            host.pause(machine)
            assert host.observe_one(machine).power is PowerState.PAUSED
        for _ in range(2):
            host.resume(machine)
            assert host.observe_one(machine).power is PowerState.RUNNING
        assert host.observe_one(machine).boot_id == run

    def test_suspend_keeps_what_the_guest_was_doing(self, host, machine):
        host.start(machine)
        with host.serial(machine) as line:
            read_until(line, b"LAB-UP")
        for _ in range(2):
            host.suspend(machine)
            assert host.observe_one(machine).power is PowerState.SUSPENDED
        (seen,) = [one for one in host.observe() if one.uuid == machine]
        assert seen.power is PowerState.SUSPENDED
        host.start(machine)
        assert host.observe_one(machine).power is PowerState.RUNNING
        with host.serial(machine, force=True) as line:
            line.write(b"z")
            assert b"LAB-UP" not in read_until(line, b"z")  # it went on, it did not boot

    def test_discarded_memory_means_a_boot(self, host, machine):
        host.start(machine)
        host.suspend(machine)
        for _ in range(2):
            host.discard_saved(machine)
            assert host.observe_one(machine).power is PowerState.OFF
        host.start(machine)
        with host.serial(machine, force=True) as line:
            read_until(line, b"LAB-UP")

    def test_suspended_machines_can_be_forgotten(self, host, machine):
        host.start(machine)
        host.suspend(machine)
        host.undefine(machine)
        assert host.observe_one(machine).power is PowerState.MISSING

    def test_reset_boots_again(self, host, machine):
        host.start(machine)
        with host.serial(machine) as line:
            read_until(line, b"LAB-UP")
            host.reset(machine)
            read_until(line, b"LAB-UP")

    def test_reboot_asks_the_guest(self, host, machine):
        host.start(machine)
        host.reboot(machine)
        assert host.observe_one(machine).power in (PowerState.RUNNING, PowerState.OFF)

    @pytest.mark.parametrize("verb", ["reboot", "reset", "pause", "resume", "suspend", "screenshot"])
    def test_a_machine_that_is_off_refuses(self, host, machine, verb):
        with pytest.raises(Refused):
            getattr(host, verb)(machine)
        assert host.observe_one(machine).power is PowerState.OFF

    @pytest.mark.parametrize("verb", ["start", "power_off", "reboot", "reset", "pause", "resume", "suspend", "guest"])
    def test_a_machine_that_is_not_there(self, host, verb):
        with pytest.raises(NotFound):
            getattr(host, verb)(NOBODY)

    def test_many_threads_use_one_connection(self, host, machine):
        failures = []

        def work():
            try:
                for _ in range(20):
                    host.start(machine)
                    assert host.observe_one(machine).power is PowerState.RUNNING
                    host.observe()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []

    def test_counters_of_a_running_machine(self, host, machine):
        host.start(machine)
        with host.serial(machine) as line:
            read_until(line, b"LAB-UP")
        (seen,) = host.observe()
        assert seen.counters.cpu_time_ns > 0
        assert seen.counters.memory_used > 0
        assert seen.counters.disk_read is not None


class TestEvents:
    def test_a_life(self, host, events, spec):
        host.define(spec)
        told = events.wait(lambda event: event.kind is EventKind.DEFINED and event.uuid == spec.uuid)
        assert told.observation.mark == "mark-1"
        host.start(spec.uuid)
        told = events.wait(lambda event: event.observation and event.observation.power is PowerState.RUNNING)
        assert (told.kind, told.uuid) == (EventKind.POWER, spec.uuid)
        assert told.observation.consoles
        host.pause(spec.uuid)
        events.wait(lambda event: event.observation and event.observation.power is PowerState.PAUSED)
        host.power_off(spec.uuid)
        events.wait(lambda event: event.observation and event.observation.power is PowerState.OFF and event.detail)
        host.undefine(spec.uuid)
        told = events.wait(lambda event: event.kind is EventKind.UNDEFINED)
        assert told.observation is None

    def test_what_others_do_is_seen(self, host, harness, machine, events):
        host.start(machine)
        harness.destroy(machine)
        events.wait(lambda event: event.detail.startswith("stopped"))
        assert host.observe_one(machine).power is PowerState.OFF
        before = host.observe_one(machine).definition
        harness.edit(machine)
        assert host.observe_one(machine).definition != before
        harness.forget(machine)
        events.wait(lambda event: event.kind is EventKind.UNDEFINED)
        assert host.observe() == ()

    def test_an_edit_is_seen_by_the_full_pass_without_events(self, host, harness, machine):
        (before,) = host.observe()
        harness.edit(machine)
        (after,) = host.observe()
        assert before.definition != after.definition
        assert after.mark == before.mark

    def test_a_failing_subscriber_does_not_stop_the_others(self, host, machine):
        def broken(event):
            raise ValueError("broken subscriber")

        arrived = threading.Event()
        stops = [host.subscribe(broken), host.subscribe(lambda event: arrived.set())]
        host.start(machine)
        assert arrived.wait(1)
        for stop in stops:
            stop()

    def test_nothing_comes_after_unsubscribing(self, host, machine):
        seen = []
        host.subscribe(seen.append)()
        host.start(machine)
        assert seen == []

    def test_losing_the_host(self, driver_name, harness, request):
        if driver_name == "libvirt":
            harness = request.getfixturevalue("doomed")
        connection = load(driver_name).connect(harness.uri, timeout=20)
        closed = threading.Event()
        connection.subscribe(lambda event: closed.set() if event.kind is EventKind.CLOSED else None)
        harness.lose_host()
        assert closed.wait(1)
        assert not connection.alive()
        with pytest.raises(HostUnreachable):
            connection.observe()
        with pytest.raises(HostUnreachable):
            connection.start(NOBODY)
        with pytest.raises(HostUnreachable):
            load(driver_name).connect(harness.uri)
        connection.close()


class TestForeigners:
    def test_are_listed_and_stay_as_they_are(self, host, harness, machine):
        foreign = harness.add_foreign("foreign")
        before = host.definition(foreign)
        by_uuid = {seen.uuid: seen for seen in host.observe()}
        assert set(by_uuid) == {machine, foreign}
        assert (by_uuid[foreign].mark, by_uuid[foreign].name) == ("", "foreign")
        host.start(foreign)
        host.power_off(foreign)
        assert host.definition(foreign) == before


class TestStorage:
    def test_ensure_twice(self, host, store):
        info = host.ensure_storage(store)
        assert info.capacity >= info.available > 0
        assert host.storage(store).capacity == info.capacity

    def test_storage_nobody_attached(self, host):
        with pytest.raises(NotFound):
            host.volumes(StorageSpec(name="nowhere", kind="dir", path="/nowhere"))

    def test_a_copy_is_whole_and_independent(self, host, store, base, harness):
        assert (base.name, base.format, base.capacity, base.backing) == ("base.qcow2", "qcow2", 1 << 20, "")
        assert host.volumes(store) == (host.volume(store, "base.qcow2"),)
        shares = []
        copy = host.copy_volume(store, "copy.qcow2", source=base, progress=shares.append)
        assert copy.backing == ""
        assert shares == sorted(shares) and shares[-1] == 1.0
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2", "copy.qcow2"]

    def test_copying_twice(self, host, store, base):
        again = host.copy_volume(store, "base.qcow2", source=base)
        assert again == host.volume(store, "base.qcow2")

    def test_half_a_copy_does_not_count_and_is_done_again(self, host, store, base):
        host.copy_volume(store, "copy.qcow2", source=base)
        host.create_volume(store, "copy.qcow2.part", capacity=4096)  # what a killed copy leaves behind
        assert host.volume(store, "copy.qcow2") is None
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2"]
        host.copy_volume(store, "copy.qcow2", source=base)
        assert [volume.name for volume in host.volumes(store)] == ["base.qcow2", "copy.qcow2"]

    def test_overlays(self, host, store, base):
        first = host.create_volume(store, "overlay.qcow2", backing=base)
        assert (first.backing, first.capacity, first.format) == (base.path, base.capacity, "qcow2")
        assert host.create_volume(store, "overlay.qcow2", backing=base) == first
        with pytest.raises(Refused):
            host.create_volume(store, "overlay.qcow2", capacity=5 << 20)

    def test_a_blank_volume(self, host, store):
        made = host.create_volume(store, "blank.qcow2", capacity=5 << 20)
        assert (made.capacity, made.backing, made.format) == (5 << 20, "", "qcow2")

    def test_delete_twice(self, host, store, base):
        for _ in range(2):
            host.delete_volume(store, "base.qcow2")
        assert host.volumes(store) == ()
        assert host.volume(store, "base.qcow2") is None

    def test_a_file_deleted_by_somebody_else(self, host, store, base, harness):
        made = host.create_volume(store, "gone.qcow2", backing=base)
        harness.lose_file(made)
        assert host.volume(store, "gone.qcow2") is None
        assert host.create_volume(store, "gone.qcow2", backing=base).name == "gone.qcow2"

    @pytest.mark.parametrize("name", ["../up", "a/b", "a,b", "-rf", "json:{}", "", ".hidden", "a\nb"])
    def test_bad_names(self, host, store, name):
        with pytest.raises(Invalid):
            host.create_volume(store, name, capacity=1 << 20)
        with pytest.raises(Invalid):
            host.delete_volume(store, name)
        assert host.volumes(store) == ()


class TestNetworks:
    @pytest.mark.parametrize("kind", ["nat", "isolated"])
    def test_a_machine_on_a_network(self, host, spec, kind):
        lan = NetworkSpec(name="lan", uuid=str(uuid.uuid4()), kind=kind, subnet="192.0.2.0/24")
        for _ in range(2):
            host.ensure_network(lan)
        host.define(replace(spec, nics=(NicSpec(mac="52:54:00:12:34:56", network="lan"),)))
        host.start(spec.uuid)
        (seen,) = host.observe()
        assert seen.counters.net_received is not None
        host.power_off(spec.uuid)
        for _ in range(2):
            host.remove_network("lan")

    def test_another_kind_of_network_with_that_name(self, host):
        lan = NetworkSpec(name="lan2", uuid=str(uuid.uuid4()), kind="isolated", subnet="198.51.100.0/24")
        host.ensure_network(lan)
        with pytest.raises(Refused):
            host.ensure_network(replace(lan, kind="nat"))
        host.remove_network("lan2")


class TestConsoles:
    def test_screenshot(self, host, machine):
        host.start(machine)
        picture, media_type = host.screenshot(machine)
        assert media_type == "image/png"
        assert picture.startswith(b"\x89PNG")

    def test_the_serial_line_both_ways(self, host, machine):
        host.start(machine)
        with host.serial(machine) as line:
            read_until(line, b"LAB-UP\r\n")
            line.write(b"q")
            read_until(line, b"q")
            assert line.read(0.05) == b""

    def test_one_at_a_time_unless_forced(self, host, machine):
        host.start(machine)
        with host.serial(machine):
            with pytest.raises(Refused), host.serial(machine):
                pass
            with host.serial(machine, force=True):
                pass

    def test_keys(self, host, machine):
        host.start(machine)
        host.send_keys(machine, [KEY_A])
        with pytest.raises(Refused):
            host.send_keys(machine, [])

    def test_guest_agent(self, host, machine, harness):
        assert host.guest(machine) is None
        host.start(machine)
        told = host.guest(machine)
        assert bool(told) is harness.agent
