"""A monitor in this process over simulated hosts."""

import threading
import uuid
from dataclasses import dataclass

import pytest

from broker.settings import env
from broker.virt.driver import MachineSpec
from broker.virt.drivers.simulated import World
from broker.virt.drivers.simulated import world as simulated
from broker.virt.models import Host
from broker.virt.monitor import watch
from broker.virt.monitor.process import Monitor


class FaultyEvents:
    """A connection whose events pass through `mangle`, which may drop, double or reorder them."""

    def __init__(self, connection, mangle):
        self._connection, self._mangle = connection, mangle

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def subscribe(self, callback):
        return self._connection.subscribe(lambda event: [callback(one) for one in self._mangle(event)])


@dataclass
class Scene:
    """The world's host as a fresh simulated one, and a way to watch it."""

    host: Host
    place: World
    monitors: list

    def connect(self):
        return watch.connect(self.host)

    def define(self, vm, *, start: bool = False):
        """Have `vm` on the host, as a job would have made it."""
        connection = self.connect()
        connection.define(MachineSpec(uuid=str(vm.pk), name=vm.name, vcpus=1, memory_mib=64, disks=(), mark=str(vm.pk)))
        if start:
            connection.start(str(vm.pk))
        return connection

    def watch(self, *, events: bool = True, mangle=None, connect=None, name: str = "", every: float = 0.2):
        """Begin monitoring; returns the monitor and what stops it."""
        connect = connect or watch.connect
        if mangle:
            plain = connect
            connect = lambda host: FaultyEvents(plain(host), mangle)  # noqa: E731
        monitor, stop = Monitor(name=name, connect=connect, events=events), threading.Event()
        thread = threading.Thread(target=monitor.run, args=(stop,), kwargs={"every": every}, daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()

        self.monitors.append(end)
        return monitor, end


@pytest.fixture
def scene(world, monkeypatch):
    """A host nobody used before; monitors begun in the test end with it."""
    monkeypatch.setattr(watch, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.2)
    uri = f"sim://{uuid.uuid4().hex}"
    Host.objects.update(uri=uri)
    world.host.refresh_from_db()
    made = Scene(world.host, simulated(uri), [])
    yield made
    for end in made.monitors:
        end()


@pytest.fixture
def quick_passes(monkeypatch):
    """A full pass every 0.2 s instead of every 10 s."""
    monkeypatch.setattr(env, "observe_every", 0.2)
