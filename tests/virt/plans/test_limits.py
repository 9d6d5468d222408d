"""Limits of disks on the simulated host: the run has them at once, and so has every one after it."""

import json

import pytest

from broker.core.errors import Invalid
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.limit_disk import limit_disk
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import DiskLimits
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks import MIB


def of_run(stage, vm, target):
    with stage.sim.changing() as data:
        return data["machines"][str(vm.pk)]["live"][target].get("limits")


def of_definition(stage, vm, target):
    disks = json.loads(stage.line.definition(str(vm.pk)))["disks"]
    return next(disk for disk in disks if disk["target"] == target)["limits"]


def test_a_running_disk_is_held_and_let_go(stage):
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    disk = vm.disks.get(target="vdb")
    done(limit_disk(actor=SYSTEM, disk=disk, limits=DiskLimits(total_bytes=MIB, read_iops=10)))
    wanted = {"total_bytes": MIB, "read_bytes": 0, "write_bytes": 0, "total_iops": 0, "read_iops": 10, "write_iops": 0}
    assert of_run(stage, vm, "vdb") == of_definition(stage, vm, "vdb") == wanted
    assert of_definition(stage, vm, "vda") is None  # nobody said anything of it
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(limit_disk(actor=SYSTEM, disk=disk, limits=DiskLimits()))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert set(of_definition(stage, vm, "vdb").values()) == {0}


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"total_bytes": MIB, "write_bytes": MIB}, "total_bytes"), ({"total_iops": 1, "read_iops": 1}, "total_iops"),
        ({"read_bytes": 100}, "read_bytes"), ({"write_iops": -1}, "write_iops"),
        ({"total_bytes": 1 << 60}, "total_bytes"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(stage, wish, field):
    vm = stage.make()
    with pytest.raises(Invalid) as refusal:
        limit_disk(actor=SYSTEM, disk=vm.disks.get(), limits=DiskLimits(**wish))
    assert refusal.value.field == field
