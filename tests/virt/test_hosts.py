"""Connections: one per host and process, reopened when dead, and a dead host left alone."""

import os

import pytest

from broker.core import clock
from broker.core.errors import Conflict
from broker.virt import hosts
from broker.virt.driver import HostUnreachable
from broker.virt.drivers.simulated import world as simulated
from broker.virt.models import Host


@pytest.fixture
def host():
    one = Host(name="host-1", driver="simulated", uri=f"sim://{os.urandom(4).hex()}")
    yield one
    hosts.forget(one)


def test_one_connection_until_forgotten(host):
    first = hosts.connection(host)
    assert hosts.connection(host) is first
    hosts.forget(host)
    assert hosts.connection(host) is not first


def test_a_process_leaves_no_line_behind_but_one_in_use(host, monkeypatch):
    line, closed = hosts.connection(host), []
    monkeypatch.setattr(line, "close", lambda: closed.append(1))
    with hosts._link(host.pk).lock:
        hosts.leave()
    assert closed == []
    hosts.leave()
    assert closed == [1]
    assert hosts.connection(host) is not line


def test_a_dead_connection_is_opened_again(host):
    first = hosts.connection(host)
    simulated(host.uri).unplug()
    simulated(host.uri).plug()
    assert hosts.connection(host) is not first


def test_a_changed_address_is_followed(host):
    first = hosts.connection(host)
    host.uri += "b"
    assert hosts.connection(host) is not first


def test_a_dead_host_costs_nothing_while_it_is_left_alone(host):
    sim = simulated(host.uri)
    sim.unplug()
    sim.delay("connect", 0.2)
    with pytest.raises(HostUnreachable):
        hosts.connection(host)
    began = clock.steady()
    for _ in range(100):
        with pytest.raises(HostUnreachable):
            hosts.connection(host)
    assert clock.steady() - began < 0.1


def test_the_pause_grows_and_ends(host):
    sim, link = simulated(host.uri), hosts._link(host.pk)
    sim.unplug()
    pauses = []
    for _ in range(8):
        link.retry_at = 0.0
        with pytest.raises(HostUnreachable):
            hosts.connection(host)
        pauses.append(round(link.retry_at - clock.steady()))
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    sim.plug()
    link.retry_at = 0.0
    assert hosts.connection(host).alive()
    assert link.failures == 0


def test_another_hypervisor_at_the_address_is_refused(host):
    host.observed_uuid = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(Conflict):
        hosts.connection(host)


def test_a_child_opens_its_own(host):
    first = hosts.connection(host)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, b"other" if hosts.connection(host) is not first else b"same")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 5) == b"other"
    assert hosts.connection(host) is first


def test_guarded_asks_for_the_lease_before_every_call(host):
    class Lost(Exception):
        pass

    class Context:
        asked = 0

        def check(self):
            self.asked += 1
            if self.asked > 1:
                raise Lost

    line = hosts.guarded(Context(), host)
    line.facts()
    with pytest.raises(Lost):
        line.facts()
