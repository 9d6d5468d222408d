"""Two whole Berths with their own databases, and one target: one has it, the other is told so, until it is let go."""

from contextlib import closing

import pytest

from broker.core import clock
from broker.virt import storage_duty
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.detach_storage import detach_storage
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.driver import PowerState
from broker.virt.drivers import load
from broker.virt.models import Host, VirtualMachine
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.fixtures import wait_for_power
from tests.lab.target import Target
from tests.virt.actions.stage import SYSTEM
from tests.virt.iscsi.second_berth import Second
from tests.world import World

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def target(lab_hosts, tmp_path):
    with Target(tmp_path, f"{lab_hosts.subnet}.1", luns=(16, 24, 24), user="berth", password="twelve-chars-x") as made:
        yield made


def test_a_target_goes_from_one_berth_to_another_with_its_machine(transactional_db, lab_hosts, target, tmp_path):
    here, there, _ = lab_hosts.hosts.values()
    world = World.build(driver="libvirt", uri=here.uri, path=str(lab_hosts.shared))
    Host.objects.update(observed_at=clock.now())
    guest.write_image(lab_hosts.shared / world.version.volume, image_format="qcow2")
    type(world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
    world.version.refresh_from_db()
    reach = {"server": target.portal, "export": target.name, "user": target.user, "password": target.password}
    san = create_storage(actor=SYSTEM, cluster=world.cluster, name="san", kind="iscsi", **reach)
    storage_duty.keep_notes()
    made = finish(create_vm(actor=SYSTEM, name="web", version=world.version, storage=san, linked=False))
    assert made.state == "succeeded", made.cause

    with Second(tmp_path) as other:
        other("host", uri=there.uri)
        assert other("add", **reach) not in ("", "second.example.org")
        refused = other("blank")
        assert refused["rule"] == "storage.held" and "another Berth" in refused["message"] and refused["fix"]
        storage_duty.keep_notes()  # what changed since is noted down, so that it is found
        assert other("notes") != ""

        assert VirtualMachine.objects.get().power_state == PowerState.OFF
        maintain_storage(actor=SYSTEM, storage=san)
        gone = finish(detach_storage(actor=SYSTEM, storage=san))
        assert gone.state == "succeeded" and not VirtualMachine.objects.filter(name="web").exists()
        assert other("notes") == "" and other("found") == ["vm web"]
        machine = other("take_in")
        assert machine == str(made.subject_id)
        with closing(load("libvirt").connect(there.uri, timeout=20)) as line:
            wait_for_power(line, machine, PowerState.RUNNING)
            with line.serial(machine) as serial:
                data = b""
                while b"LAB-UP" not in data:
                    data += serial.read(5.0)
        assert other("found") == []
        other("notes")

        back = create_storage(actor=SYSTEM, cluster=world.cluster, name="again", kind="iscsi", **reach)
        storage_duty.keep_notes()
        back.refresh_from_db()
        assert back.held_by and back.found["berth"] == "second.example.org"
