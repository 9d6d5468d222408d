"""What every hypervisor driver must do with machines that run (the rest: test_driver_contract.py)."""

import threading

import pytest

from broker.virt.driver import EventKind, HostUnreachable, NotFound, PowerState, Refused
from broker.virt.drivers import load
from tests.lab.fixtures import read_until, wait_for_power

NOBODY = "11111111-2222-3333-4444-555555555555"
KEY_A = 30


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
        # The agent's channel may be told of first.
        told = events.wait(
            lambda event: event.kind is EventKind.POWER and event.observation.power is PowerState.RUNNING
        )
        assert told.uuid == spec.uuid
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
