"""A machine's life on a real libvirt host, from an imported image to the last file gone."""

import json
import subprocess
import time
from pathlib import Path

import libvirt
import pytest

from broker.core import clock
from broker.virt import hosts
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.reset_vm import reset_vm
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.models import TemplateVersion, VirtualMachine
from broker.virt.specs import storage_spec
from tests.jobs_help import finish, run_all
from tests.lab import guest
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.world import World

pytestmark = pytest.mark.lab


class Real:
    """The cast over the real host, with a template imported the way an administrator does it."""

    def __init__(self, uri, base, settings):
        settings.DATA_DIR = base / "data"
        (base / "data" / "import").mkdir(parents=True, exist_ok=True)
        guest.write_image(base / "data" / "import" / "guest.qcow2", image_format="qcow2", period=2)
        self.world = World.build(driver="libvirt", uri=uri)
        self.disks = base / f"disks-{time.monotonic_ns()}"
        cluster = self.world.cluster
        self.storage = create_storage(actor=SYSTEM, cluster=cluster, name="real", path=str(self.disks))
        self.network = create_network(
            actor=SYSTEM, cluster=cluster, name="real", kind="isolated", subnet="192.168.77.0/24", mtu=9000
        )
        self.template = create_template(actor=SYSTEM, cluster=cluster, name="tiny")
        job = import_template_version(
            actor=SYSTEM, template=self.template, storage=self.storage, source="guest.qcow2", memory_mib=32
        )
        self.version = TemplateVersion.objects.get(pk=done(job).subject_id)

    @property
    def line(self):
        return hosts.connection(self.world.host)

    def make(self, name, **wish):
        job = create_vm(actor=SYSTEM, name=name, version=self.version, network=self.network, **wish)
        return fresh(done(job).subject_id)

    def files(self):
        return {path.name for path in self.disks.iterdir()} - {self.version.volume}


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


def boots(vm) -> guest.Counters:
    return guest.counters(Path(vm.disks.get().path))


def lab_up(real, vm, timeout=30.0):
    """Wait until the guest runs: then it echoes what comes over its serial line."""
    deadline, said = time.monotonic() + timeout, b""
    with real.line.serial(str(vm.pk), force=True) as serial:
        while b"?" not in said:
            assert time.monotonic() < deadline, f"the guest does not answer: {said!r}"
            serial.write(b"?")
            said += serial.read(0.2)


def lengths(uri, network) -> tuple[int, set[int]]:
    """The MTU of the network's bridge, and those of the cards on it."""
    host = libvirt.open(uri)
    try:
        bridge = host.networkLookupByName(network.host_name).bridgeName()
    finally:
        host.close()
    links = json.loads(subprocess.check_output(["ip", "-json", "link", "show"]))
    (own,) = (link["mtu"] for link in links if link["ifname"] == bridge)
    return own, {link["mtu"] for link in links if link.get("master") == bridge}


def shut_down(vm):
    job = finish(shutdown_vm(actor=SYSTEM, vm=fresh(vm)))
    assert job.state == "succeeded", f"{job.cause} {job.fix}"


def test_a_whole_life(real):
    vm = real.make("life", start=True)
    assert (vm.state, vm.power_state) == ("ready", "running")
    assert lengths(real.world.host.uri, real.network) == (9000, {9000}), "a card has the MTU of its network's bridge"
    first = vm.boot_id
    lab_up(real, vm)  # the boot sector counts this boot before anything is done to the machine
    for action, power in (
        (pause_vm, "paused"),
        (resume_vm, "running"),
        (suspend_vm, "suspended"),
        (start_vm, "running"),
    ):
        done(action(actor=SYSTEM, vm=fresh(vm)))
        assert fresh(vm).power_state == power
        assert real.line.observe_one(str(vm.pk)).power == power
    assert fresh(vm).boot_id != "" != first
    done(reset_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)
    shut_down(vm)
    assert fresh(vm).power_state == "off"
    assert boots(vm).boots >= 2
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert vm.disks.get().volume in real.files()
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert real.files() == set()
    assert real.line.observe_one(str(vm.pk)).power == "missing"
    for job in delete_template(actor=SYSTEM, template=real.template):
        done(job)
    assert list(real.disks.iterdir()) == []


def test_reset_forgets_what_the_guest_wrote_and_leaves_the_neighbour(real):
    vm, other = real.make("one", start=True), real.make("two", start=True)
    for each in (vm, other):
        lab_up(real, each)
        shut_down(each)
    assert boots(vm).boots == boots(other).boots == 1
    began = clock.steady()
    done(reset_disks(actor=SYSTEM, vm=fresh(vm)))
    took = clock.steady() - began
    assert boots(vm) == guest.Counters(0, 0)
    assert boots(other).boots == 1
    assert real.files() == {vm.disks.get().volume, other.disks.get().volume}
    assert took < 5  # about 0.1 s when the machine has nothing else to do


def test_the_host_keeps_what_somebody_added(real):
    """Elements we know nothing of survive a start that brings the definition up to date."""
    vm = real.make("edited")
    raw = libvirt.open(real.world.host.uri)
    xml = raw.lookupByUUIDString(str(vm.pk)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    raw.defineXML(xml.replace("</devices>", "<watchdog model='i6300esb' action='reset'/></devices>"))
    VirtualMachine.objects.filter(pk=vm.pk).update(vcpus=2)
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    now = raw.lookupByUUIDString(str(vm.pk)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    raw.close()
    assert "i6300esb" in now
    assert ">2</vcpu>" in now


def test_a_foreign_machine_of_the_same_name_is_left_alone(real, make_machine):
    foreign = make_machine(name="taken", mark="")
    job = ended(create_vm(actor=SYSTEM, name="taken", version=real.version))
    assert job.state == "failed"
    assert real.line.observe_one(foreign.uuid).power == "off"
    assert real.files() == set()


def test_a_full_copy_has_no_backing_file(real):
    vm = real.make("copy", linked=False)
    listed = {volume.name: volume for volume in real.line.volumes(storage_spec(real.storage))}
    assert listed[vm.disks.get().volume].backing == ""


def test_twenty_clones_take_a_moment(real):
    began = clock.steady()
    for index in range(20):
        create_vm(actor=SYSTEM, name=f"clone-{index}", version=real.version, network=real.network)
    run_all()
    each = (clock.steady() - began) / 20
    assert VirtualMachine.objects.filter(state="ready", power_state="off").count() == 20
    assert each < 0.5  # 0.05 s beside other work
