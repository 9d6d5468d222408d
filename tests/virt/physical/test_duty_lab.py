"""Whether a PC is on, as seen in a network; and the packet that wakes one, as it comes there."""

import time

import pytest
from django.db import connection

from broker.core import clock
from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical import duty, magic_packet, observe, probing
from tests.jobs_help import finish
from tests.lab.pc import LabPc

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
MAC = "52:54:00:aa:bb:01"


@pytest.fixture
def pc():
    with LabPc() as pc:
        yield pc


def row(world, pc, **values) -> PhysicalMachine:
    wanted = {"name": "pc-1", "address": pc.address, "vnc_port": 5900, "rdp_port": 3389, "mac": MAC, **values}
    return create_physical_machine(actor=world.actor("root"), cluster=world.cluster, **wanted)


def seen(row) -> tuple[str, list[int]]:
    PhysicalMachine.objects.filter(pk=row.pk).update(probed_at=None)
    assert duty.run() == 1
    found = PhysicalMachine.objects.select_related("vm").get(pk=row.pk)
    assert duty.run() == 0  # its turn comes again later
    return found.vm.power_state, found.open_ports


def test_on_off_and_half_on(world, pc):
    one = row(world, pc)
    pc.open_port(5900)
    assert seen(one) == ("running", [5900])
    vm = VirtualMachine.objects.get()
    assert vm.consoles == [{"kind": "vnc", "host": pc.address, "port": 5900, "bare": True}]
    pc.switch_off()
    assert seen(one) == ("running", [])  # it says that nobody listens: it is on, without a screen
    assert VirtualMachine.objects.get().consoles == []
    pc.hush()
    assert seen(one) == ("running", [])
    assert seen(one) == ("off", [])
    pc.plug_in()
    until = time.monotonic() + 60
    while seen(one)[0] != "running":  # its network comes up
        assert time.monotonic() < until


def test_a_port_named_for_it_is_the_only_one_that_is_knocked_at(world, pc):
    one = row(world, pc, probe_port=22)
    pc.open_port(22)
    assert seen(one) == ("running", [22])
    assert VirtualMachine.objects.get().consoles[0]["port"] == 5900


def test_a_name_is_looked_up_and_what_it_leads_to_is_judged(world, pc, monkeypatch):
    one = row(world, pc, address="pc-1.example.org")
    assert seen(one) == ("unknown", [])
    assert "leads to no address" in PhysicalMachine.objects.get().error
    told = {"pc-1.example.org": [pc.address]}
    monkeypatch.setattr(duty.probing, "look_up", lambda names: {name: told.get(name, []) for name in names})
    pc.open_port(5900)
    assert seen(one) == ("running", [5900])
    assert PhysicalMachine.objects.get().resolved == pc.address
    told["pc-1.example.org"] = ["127.0.0.1"]
    assert seen(one) == ("unknown", [])
    assert (PhysicalMachine.objects.get().resolved, VirtualMachine.objects.get().consoles) == (None, [])
    told["pc-1.example.org"] = [pc.near]  # another address of this very computer
    assert seen(one) == ("unknown", [])
    assert "address of Berth" in PhysicalMachine.objects.get().error


def test_hundreds_that_are_silent_take_seconds(pc):
    pc.hush()
    began = time.monotonic()
    heard = probing.knock({f"{pc.subnet}.{number}": (5900, 3389) for number in range(3, 253)})
    assert not any(one.there for one in heard.values())
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("broadcast", ["", "10.77.1.255"])
def test_the_magic_packet_comes_as_cards_know_it(pc, broadcast):
    heard = pc.hear()
    magic_packet.send(MAC, towards=pc.address, broadcast=broadcast)
    assert heard.communicate(timeout=30)[0] == b"\xff" * 6 + bytes.fromhex("525400aabb01") * 16


def test_it_is_woken_and_told_so_once_it_answers(world, pc):
    one = row(world, pc)
    pc.open_port(22)  # ARP is answered; VNC and RDP are not there
    pc.hush()
    assert (seen(one), seen(one))[1][0] == "off"
    pc.plug_in()
    pc.switch_off()
    connection.close()
    heard = pc.hear()
    job = start_vm(actor=world.actor("root"), vm=VirtualMachine.objects.get())
    Runner().run(job.pk)
    assert heard.communicate(timeout=30)[0].endswith(bytes.fromhex("525400aabb01"))
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting", "it is on, and nothing can be opened yet"
    pc.show_screen()
    job = finish(job)
    assert (job.state, VirtualMachine.objects.get().power_state) == ("succeeded", "running")
    assert VirtualMachine.objects.get().consoles


def test_one_that_stays_silent_is_said_to(world, pc, monkeypatch):
    from broker.virt.plans import vm_wake

    monkeypatch.setattr(vm_wake, "GIVE_UP_AFTER", 3)
    one = row(world, pc)
    pc.hush()
    for _ in range(observe.MISSES):
        seen(one)
    job = finish(start_vm(actor=world.actor("root"), vm=VirtualMachine.objects.get()))
    assert job.state == "failed" and job.error["rule"] == "physical.silent"
    assert "Wake-on-LAN" in job.error["fix"]
    assert Job.objects.get(pk=job.pk).finished_at <= clock.now()
    with pytest.raises(Conflict):
        start_vm(actor=world.actor("root"), vm=VirtualMachine(pk=one.pk, machine="physical", power_state="running"))
