"""Disks of real machines when things go wrong: QEMU killed while it merges, a template's image lost or broken."""

import os
import signal
import subprocess

import pytest

from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import Snapshot
from tests.jobs_help import finish
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks_lab import chain, well
from tests.virt.plans.test_lab import boots, lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab


def test_qemu_killed_while_it_merges_loses_nothing(real, lab_host, monkeypatch):  # noqa: F811
    """Rows F06 and F16."""
    vm = real.make("killed", start=True)
    lab_up(real, vm)
    first = vm.disks.get().volume
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    driver, killed = type(real.line), []
    plain = driver.merge_layer

    def merge_and_kill(self, uuid, target, **layers):
        share = plain(self, uuid, target, **layers)
        if not killed:
            killed.append(lab_host.qemu_pid(uuid))
            os.kill(killed[0], signal.SIGKILL)
        return share

    monkeypatch.setattr(driver, "merge_layer", merge_and_kill)
    job = finish(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="one")))
    assert killed and job.state == "succeeded", f"{job.cause} {job.fix}"
    disk = vm.disks.get()
    assert (disk.volume, real.files()) == (first, {first})
    assert chain(disk.path)[0] == first
    assert real.line.observe_one(str(vm.pk)).power in ("off", "crashed")  # held for the merge, and let go of
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", disk.path], check=True)
    assert boots(vm).boots == 1
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)


@pytest.mark.parametrize("how", ["lost", "broken"])
def test_a_template_whose_image_is_gone_is_named_and_others_go_on(real, how):  # noqa: F811
    """Row F26."""
    vm, other = real.make("linked"), real.make("whole", linked=False)
    image = real.disks / real.version.volume
    kept = image.with_suffix(".kept")
    image.rename(kept)
    if how == "broken":
        image.write_bytes(b"x" * 65536)
    job = ended(start_vm(actor=SYSTEM, vm=vm))
    assert job.state == "failed" and job.fix
    assert real.version.volume in job.cause
    done(start_vm(actor=SYSTEM, vm=other))
    lab_up(real, other)
    assert fresh(vm).state == "ready" and real.line.observe_one(str(vm.pk)).power == "off"
    kept.rename(image)
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
