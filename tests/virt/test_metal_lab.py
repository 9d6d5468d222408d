"""What a host of namespaces cannot do, on a host of its own kernel over SSH: limits of cards, devices of the host.

Each is asked for with Berth's actions and looked for in that kernel: with tc, in /sys, and in what QEMU says.
"""

import re

import pytest

from broker.virt import hosts, pending
from broker.virt.actions.attach_device import attach_device
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.detach_device import detach_device
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Cluster, DeviceUse, HostDevice, Nic, TemplateVersion
from broker.virt.monitor import devices
from broker.virt.ssh.key import public_key
from tests.jobs_help import finish, run_all
from tests.lab import guest, metal
from tests.virt.actions.stage import SYSTEM, fresh

pytestmark = [pytest.mark.lab, pytest.mark.metal, pytest.mark.timeout(900)]

# of a card's tap: what goes to the guest is held back by HTB, what comes from it is dropped by a policer
_HTB, _POLICE = re.compile(r"class htb .* rate (\d+)([KM]?)bit"), re.compile(r"police .* rate (\d+)([KM]?)bit")


@pytest.fixture(scope="module")
def machine(lab_base, host_image):
    with metal.Metal(lab_base / "metal", host_image) as booted:
        yield booted


class Far:
    """The host, added as an administrator adds it, with all that a machine on it needs."""

    def __init__(self, machine, base):
        guest.write_image(base / "data" / "import" / "guest.qcow2", image_format="qcow2", period=0)
        self.machine = machine
        machine.let_in(public_key())
        cluster = Cluster.objects.create(name="far")
        self.host = create_host(actor=SYSTEM, cluster=cluster, name="metal", uri=machine.uri)
        self.storage = create_storage(actor=SYSTEM, cluster=cluster, name="disks", path="/var/lib/libvirt/berth")
        self.network = create_network(
            actor=SYSTEM, cluster=cluster, name="lan", kind="bridge", bridge=metal.BRIDGE, guard="off"
        )
        template = create_template(actor=SYSTEM, cluster=cluster, name="small")
        self.version = TemplateVersion.objects.get(
            pk=ended(
                import_template_version(
                    actor=SYSTEM, template=template, storage=self.storage, source="guest.qcow2", memory_mib=32
                )
            ).subject_id
        )  # fmt: skip

    def make(self, name):
        job = create_vm(actor=SYSTEM, name=name, version=self.version, network=self.network, start=True)
        return fresh(ended(job).subject_id)

    def virsh(self, *words):
        return self.machine.run(f"virsh {' '.join(words)}")

    def look(self):
        devices.look(self.host, hosts.connection(self.host))

    def limits(self, vm):
        """The most KiB a second in and out, as the kernel has them; 0 where there is no such rule."""
        (tap,) = re.findall(r"target dev='(vnet\d+)'", self.virsh("dumpxml", str(vm.pk)))
        said = self.machine.run(f"tc class show dev {tap}; tc qdisc show dev {tap}; tc filter show dev {tap} ingress")
        found = tuple(kib(pattern.search(said)) for pattern in (_HTB, _POLICE))
        assert bool(found[0]) is ("qdisc htb" in said) and bool(found[1]) is ("qdisc ingress" in said), said
        return found


def kib(found):
    """tc counts a thousand bytes where libvirt says KiB."""
    return int(found[1]) * {"": 1, "K": 1000, "M": 1000000}[found[2]] // 8000 if found else 0


def ended(job):
    job = finish(job)
    assert job.state == "succeeded", f"{job.plan}: {job.cause} {job.fix}"
    return job


@pytest.fixture
def far(transactional_db, settings, machine, lab_base):
    settings.DATA_DIR = lab_base / "data"
    (lab_base / "data" / "import").mkdir(parents=True, exist_ok=True)
    far = Far(machine, lab_base)
    yield far
    hosts.forget(far.host)


def test_limits_are_the_kernels_and_devices_go_to_a_machine_and_come_back(far):
    vm = far.make("first")
    limited(far, vm)
    tablet_lent(far, vm)
    card_lent(far, vm)
    ended(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def limited(far, vm):
    """Set, changed, one of two lifted, both lifted; each at once, and as it was left after a start."""
    card = vm.nics.get()
    assert far.limits(vm) == (0, 0)
    for inbound, outbound in ((1000, 2000), (0, 2000), (1000, 500), (1000, 0), (0, 300), (0, 0), (4000, 800)):
        edit_nic(actor=SYSTEM, nic=card, in_kib=inbound, out_kib=outbound)
        changed(vm)
        assert far.limits(vm) == (inbound, outbound)
        card = Nic.objects.get(pk=card.pk)
    ended(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    ended(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert far.limits(vm) == (4000, 800)


def tablet_lent(far, vm):
    """Plugged into the run, and pulled out of it. Of a memory stick libvirt does not say that it can be pulled out."""
    far.look()
    tablet, stick = (usb(far, words) for words in (metal.TABLET, metal.STICK))
    assert (tablet.kind, tablet.unfit, stick.unfit) == ("usb", "", "disk")
    assert driver_of_the_tablet(far) == metal.TABLET_DRIVER
    use = attach_device(actor=SYSTEM, vm=fresh(vm), device=tablet)
    changed(vm)
    assert "hostdev" in inside(far, vm, "usb") and f"0x{tablet.vendor}" in far.virsh("dumpxml", str(vm.pk))
    assert driver_of_the_tablet(far) != metal.TABLET_DRIVER, "QEMU has taken it from the kernel"
    detach_device(actor=SYSTEM, use=DeviceUse.objects.get(pk=use.pk))
    changed(vm)
    assert "hostdev" not in inside(far, vm, "usb") and not DeviceUse.objects.exists()
    assert driver_of_the_tablet(far) == metal.TABLET_DRIVER


def usb(far, words):
    vendor, product = words.split(":")
    return HostDevice.objects.get(host=far.host, kind="usb", vendor=vendor, product=product)


def card_lent(far, vm):
    """With the next start; back with its end."""
    card = HostDevice.objects.get(host=far.host, address=metal.SPARE)
    assert (card.kind, card.unfit, card.driver) == ("pci", "", metal.SPARE_DRIVER) and card.group is not None
    ended(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    use = attach_device(actor=SYSTEM, vm=fresh(vm), device=card)
    ended(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert driver_of_the_card(far) == "vfio-pci"
    assert f"{card.vendor}:{card.product}" in inside(far, vm, "pci")
    far.look()
    card.refresh_from_db()
    assert (card.present, card.unfit, card.driver) == (True, "", "vfio-pci")
    ended(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert driver_of_the_card(far) == metal.SPARE_DRIVER
    detach_device(actor=SYSTEM, use=DeviceUse.objects.get(pk=use.pk))
    ended(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert driver_of_the_card(far) == metal.SPARE_DRIVER
    assert f"{card.vendor}:{card.product}" not in inside(far, vm, "pci")


def changed(vm):
    """The run has what was noted of it."""
    run_all(seconds=240, skip_waiting=False)
    row = pending.of(fresh(vm))
    assert row is None, [str(one.reason) for one in pending.differences(fresh(vm), row)]


def inside(far, vm, what):
    """What QEMU says its guest has."""
    return far.virsh("qemu-monitor-command", str(vm.pk), "--hmp", f"'info {what}'")


def driver_of_the_card(far):
    return far.machine.run(f"basename $(readlink /sys/bus/pci/devices/{metal.SPARE}/driver)").strip()


def driver_of_the_tablet(far):
    """Of its one interface, as the kernel has it; empty while there is none."""
    of_it = "/sys/bus/usb/devices/$(basename $(dirname $(grep -l Tablet /sys/bus/usb/devices/*/product)))"
    return far.machine.run(f'basename "$(readlink {of_it}:1.0/driver)"').strip()
