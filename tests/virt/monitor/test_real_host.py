"""virsh behind our back on a real libvirtd: seen within a second by event, and by the next full pass alone."""

import subprocess
import threading
import uuid
from collections.abc import Callable

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.settings import env
from broker.virt import screens
from broker.virt.driver import PowerState
from broker.virt.models import ForeignMachine, Host, Sample, VirtualMachine
from broker.virt.monitor.process import Monitor
from tests.virt.monitor.help import eventually, machine

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def virsh(lab_host):
    """Run virsh on the lab's host; returns what it printed."""

    def run(*words: str) -> str:
        done = subprocess.run(["virsh", "-q", "-c", lab_host.uri, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def real(world, lab_host, make_machine):
    """A machine of ours on the lab's host, and a way to begin watching it."""
    Host.objects.update(driver="libvirt", uri=lab_host.uri)
    world.host.refresh_from_db()
    vm = machine(world, f"vm-{uuid.uuid4().hex[:8]}", definition="", observed_definition="")
    make_machine(uuid=str(vm.pk), name=vm.name, mark=str(vm.pk))
    stop, threads = threading.Event(), []

    def watch(**options) -> VirtualMachine:
        threads.append(threading.Thread(target=Monitor(**options).run, args=(stop,), daemon=True))
        threads[-1].start()
        eventually(lambda: power(vm) == PowerState.OFF, within=15)
        return vm

    yield watch
    stop.set()
    for thread in threads:
        thread.join(10)


def power(vm) -> str:
    return VirtualMachine.objects.values_list("power_state", flat=True).get(pk=vm.pk)


def told(vm) -> list[str]:
    found = Event.objects.filter(subject_id=vm.pk).order_by("id").values_list("kind", flat=True)
    return [kind.removeprefix("vm.changed-outside.") for kind in found]


@pytest.fixture
def often(monkeypatch):
    """A full pass every two seconds instead of every ten, where it is not waited for how long that is."""
    monkeypatch.setattr(env, "observe_every", 2.0)


def by_event(shown: Callable[[], object]) -> None:
    eventually(shown, within=1.0)


def by_next_pass(shown: Callable[[], object]) -> None:
    """The first full pass that began after the change shows it, however long a pass takes on this machine."""
    changed = clock.now()
    eventually(lambda: Host.objects.get().observed_at > changed, within=30)
    eventually(shown, within=5.0)  # the pass notes that it was made, and then writes what it saw


@pytest.mark.parametrize("events", [True, False])
def test_virsh_behind_our_back(real, virsh, tmp_path, request, events):
    """Row F31. A stranger's machine goes its way beside ours, so that one pass is waited for by both."""
    if not events:
        request.getfixturevalue("often")
    vm = real(events=events)
    seen = by_event if events else by_next_pass
    name, row = vm.name, VirtualMachine.objects.filter(pk=vm.pk)
    strangers = ForeignMachine.objects.filter(name="stranger")
    xml = tmp_path / "stranger.xml"
    xml.write_text("<domain type='qemu'><name>stranger</name><memory>16384</memory><os><type>hvm</type></os></domain>")
    virsh("define", str(xml))
    virsh("start", name)
    seen(lambda: power(vm) == PowerState.RUNNING and strangers.filter(power_state="off").exists())
    assert row.get().boot_id
    assert row.get().consoles[0]["unix"]
    before = virsh("dumpxml", "stranger")
    virsh("start", "stranger")
    virsh("destroy", name)
    seen(lambda: power(vm) == PowerState.OFF and strangers.filter(power_state="running").exists())
    assert row.get().consoles == []
    assert virsh("dumpxml", "--inactive", "stranger").split() == before.split()

    xml = tmp_path / "edited.xml"
    xml.write_text(
        virsh("dumpxml", "--inactive", name).replace("</domain>", "<description>mine</description></domain>")
    )
    virsh("destroy", "stranger")
    virsh("undefine", "stranger")
    virsh("define", str(xml))
    seen(lambda: "edited" in told(vm) and not ForeignMachine.objects.exists())
    assert row.get().observed_definition != row.get().definition

    text = virsh("dumpxml", "--inactive", name)
    virsh("undefine", name)
    seen(lambda: power(vm) == PowerState.MISSING)
    assert told(vm) == ["started", "stopped", "edited", "removed"]
    xml.write_text(text)
    virsh("define", str(xml))
    seen(lambda: power(vm) == PowerState.OFF)


def test_libvirtd_killed_and_started_again(real, virsh, lab_host):
    """Fault F13 of docs/faults.md."""
    vm = real()
    virsh("start", vm.name)
    eventually(lambda: power(vm) == PowerState.RUNNING)
    boot_id = VirtualMachine.objects.get(pk=vm.pk).boot_id
    lab_host.stop_daemon()
    eventually(lambda: Host.objects.get().error, within=15)
    assert power(vm) == PowerState.RUNNING
    lab_host.restart_daemon()
    eventually(lambda: Host.objects.get().error == "", within=35)
    virsh("destroy", vm.name)
    eventually(lambda: power(vm) == PowerState.OFF, within=5)
    assert boot_id
    assert told(vm) == ["started", "stopped"]


def test_screen_and_load_of_a_running_machine(real, virsh, often):
    vm = real()
    virsh("start", vm.name)
    eventually(lambda: power(vm) == PowerState.RUNNING)
    assert screens.latest(vm.pk) is None
    screens.want([vm.pk])
    eventually(lambda: screens.latest(vm.pk) or screens.want([vm.pk]), within=15, every=0.2)
    picture, age = screens.latest(vm.pk)
    assert picture[:4] == b"RIFF"
    assert age < 15
    eventually(lambda: Sample.objects.filter(vm=vm, cpu_percent__isnull=False).exists(), within=25, every=0.2)
    virsh("destroy", vm.name)
    eventually(lambda: screens.latest(vm.pk) is None)
