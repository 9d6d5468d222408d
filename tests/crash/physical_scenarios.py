"""The crash matrix's scenario of waking a physical PC; see scenarios.py."""

import itertools

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import VirtualMachine
from broker.virt.physical import observe
from tests.crash.scenarios import Scenario, Stage
from tests.lab.pc import LabPc

ACTOR = Actor.system("crash test")
_numbers = itertools.count(1)


def _wake(stage: Stage):
    """All of them are one PC, which is on: each row was told that it is off."""
    with stage.sharing:
        if "pc" not in stage.kept:
            pc = stage.leaving.enter_context(LabPc(9))
            pc.open_port(5900)
            stage.kept["pc"] = pc
    row = create_physical_machine(
        actor=ACTOR, cluster=stage.world.cluster, name=f"pc-{next(_numbers)}", address=stage.kept["pc"].address,
        vnc_port=5900, mac="52:54:00:aa:bb:09",
    )  # fmt: skip
    for _ in range(observe.MISSES):
        observe.write(row, observe.Seen(row.address))
    vm = VirtualMachine.objects.get(pk=row.pk)
    return start_vm(actor=ACTOR, vm=vm), vm


def _woken(stage: Stage, job: Job, vm) -> None:
    vm.refresh_from_db()
    assert (vm.state, vm.power_state) == ("ready", "running")
    assert [end["port"] for end in vm.consoles] == [5900]


PHYSICAL = {"vm.wake": Scenario(_wake, _woken)}
