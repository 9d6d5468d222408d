"""Serial lines for several at once: scroll-back, one who types, taking over, refusals; and a real guest's line."""

import asyncio
import json
import socket
import uuid

import pytest

from broker.virt import hosts
from broker.virt.driver import DriverError, MachineSpec
from broker.virt.models import VirtualMachine
from broker.virt.serial import wire
from broker.virt.serial.door import SerialDoor
from broker.virt.serial.hub import refusal
from tests.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]
UP = b"LAB-UP\r\n"


class Person:
    """A gateway's side of a line."""

    def __init__(self, path, vm, user, *, write=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.socket.sendall(wire.Hello(str(vm), user, write).line())
        self.read, self.told = b"", {}

    def frame(self):
        head = self._exactly(4)
        payload = self._exactly(int.from_bytes(head[1:], "big"))
        if head[:1] == wire.DATA:
            self.read += payload
        else:
            self.told = json.loads(payload)

    def _exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def until(self, condition):
        while not condition(self):
            self.frame()
        return self

    def send(self, kind, payload=b""):
        self.socket.sendall(wire.frame(kind, payload))

    def close(self):
        self.socket.close()


@pytest.fixture
def door(tmp_path):
    running = SerialDoor(tmp_path / "run" / "serial.sock", linger=30)
    running.start()
    yield tmp_path / "run" / "serial.sock"
    running.stop()
    assert not running.alive


@pytest.fixture
def machine(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    world = World.build(uri=f"sim://serial-{uuid.uuid4().hex[:8]}")
    line = hosts.connection(world.host)
    vm = VirtualMachine.objects.create(cluster=world.cluster, host=world.host, name="desk", state="ready")
    line.define(MachineSpec(uuid=str(vm.pk), name="desk", vcpus=1, memory_mib=64, disks=()))
    line.start(str(vm.pk))
    yield vm
    hosts.forget(world.host)


def shared_line(path, vm, *, typed, echo):
    """Two people on one line: what both read, who types, and what the third finds when they are gone."""
    alice = Person(path, vm.pk, "alice").until(lambda p: UP in p.read and p.told.get("mine"))
    bob = Person(path, vm.pk, "bob").until(lambda p: UP in p.read and p.told.get("writer") == "alice")
    looker = Person(path, vm.pk, "<img onerror=x>", write=False).until(lambda p: p.told.get("readers") == 3)
    alice.send(wire.DATA, typed)
    for person in (alice, bob, looker):
        person.until(lambda p: echo in p.read)
    bob.send(wire.DATA, b"not mine to type")
    looker.send(wire.TAKE)
    bob.send(wire.TAKE)
    for person in (alice, looker):
        person.until(lambda p: p.told.get("writer") == "bob")
        assert not person.told["mine"]
    bob.until(lambda p: p.told.get("mine"))
    bob.send(wire.DATA, b"Z")
    alice.until(lambda p: b"Z" in p.read)
    assert b"not mine" not in alice.read
    bob.close()
    alice.until(lambda p: p.told.get("writer") == "" and p.told["readers"] == 2)
    alice.close()
    looker.close()
    late = Person(path, vm.pk, "carol").until(lambda p: b"Z" in p.read)
    assert late.read.startswith(UP) and echo in late.read
    late.close()


def test_one_types_and_all_read(door, machine):
    shared_line(door, machine, typed=b"\x1b[31mred", echo=b"\x1b[31mred")


def test_what_is_not_a_line_is_refused_with_a_word(door, machine):
    hosts.connection(machine.host).power_off(str(machine.pk))
    off = Person(door, machine.pk, "alice").until(lambda p: p.told)
    assert off.told == {"refused": "none"}
    assert Person(door, uuid.uuid4(), "alice").until(lambda p: p.told).told == {"refused": "none"}
    assert Person(door, "../../etc", "alice").until(lambda p: p.told).told == {"refused": "none"}


def test_somebody_elses_open_line_is_said(door, machine):
    with hosts.connection(machine.host).serial(str(machine.pk)):
        assert Person(door, machine.pk, "alice").until(lambda p: p.told).told == {"refused": "busy"}


@pytest.mark.parametrize("sent", [b"{}\n", b"[]\n", b"GET / HTTP/1.1\n", b"x" * 5000, b'{"vm": 3}\n'])
def test_nonsense_at_the_door_is_closed_and_the_door_goes_on(door, machine, sent):
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(10)
        rude.connect(str(door))
        rude.sendall(sent)
        rude.shutdown(socket.SHUT_WR)
        assert rude.recv(100) == b""
    person = Person(door, machine.pk, "alice").until(lambda p: p.told.get("mine"))
    person.socket.sendall(b"d\xff\xff\xff")
    with pytest.raises(EOFError):
        while True:
            person.frame()


def test_a_second_keeper_leaves_the_lines_to_the_first(door, machine):
    second = SerialDoor(door)
    second.start()
    assert second.alive
    second.stop()
    Person(door, machine.pk, "alice").until(lambda p: p.told.get("mine")).close()


def test_both_engines_carry_a_line_as_it_is(door, machine):
    from broker.gateway.desk import Target
    from broker.gateway.engines import NAMES
    from tests.gateway.fakes import Browser, start_gateway, stop_gateway, until

    hello = wire.Hello(str(machine.pk), "alice", True).line()

    async def carry(name):
        gateway = await start_gateway(name)
        async with gateway.open(gateway.desk.issue(Target(unix=str(door), hello=hello))) as ws:
            browser, read = Browser(ws), b""
            assert (await browser.read(1)) in (wire.DATA, wire.STATUS)
            await browser.read(int.from_bytes(await browser.read(3), "big"))
            for byte in wire.frame(wire.DATA, name.encode()):
                await ws.send(bytes([byte]))
            while name.encode() not in read:
                head = await browser.read(4)
                read += await browser.read(int.from_bytes(head[1:], "big"))
        await until(lambda: gateway.desk.ended)
        assert gateway.desk.ended[0][0].picture is None
        await stop_gateway(gateway)

    for name in NAMES:
        asyncio.run(carry(name))


@pytest.mark.lab
def test_a_real_guests_line(door, settings, connection, lab_host, make_machine):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    world = World.build(driver="libvirt", uri=lab_host.uri)
    spec = make_machine(name="lined")
    vm = VirtualMachine.objects.create(
        pk=spec.uuid, cluster=world.cluster, host=world.host, name="lined", state="ready"
    )
    connection.start(spec.uuid)
    first = Person(door, vm.pk, "first").until(lambda p: p.told.get("mine"))
    while b"?" not in first.read:  # it hears nothing before it has booted
        first.send(wire.DATA, b"?")
        first.frame()
    shared = Person(door, vm.pk, "second").until(lambda p: b"?" in p.read)
    first.send(wire.DATA, b"echo")
    shared.until(lambda p: b"echo" in p.read)
    with pytest.raises(DriverError) as refused, connection.serial(spec.uuid):
        raise AssertionError("the line was given twice")
    assert refusal(refused.value) == "busy"
    connection.power_off(spec.uuid)
    with pytest.raises(EOFError):
        shared.until(lambda p: False)
    hosts.forget(world.host)
