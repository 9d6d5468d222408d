"""Scenarios of the plans on hosts: a host that does not answer is asked, fenced, and cleaned when it is back.

The silent host is a simulated one that is unplugged; its power management is an agent that is a script, as those of the
package fence-agents are: options on its standard input, an exit code as its answer, a file as the plug.
"""

import itertools
from datetime import timedelta
from pathlib import Path

from broker.access.actor import Actor
from broker.core import clock
from broker.jobs.enqueue import enqueue
from broker.virt import hosts, queries, specs
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.driver import PowerState
from broker.virt.drivers.simulated.world import world
from broker.virt.models import AffinityGroup, Cluster, FenceDevice, Host, HostHealth, Recovery, VirtualMachine
from broker.virt.states import RecoveryState
from tests.jobs_help import finish

ACTOR = Actor.system("crash test")
_numbers = itertools.count(1)
AGENT = """#!/bin/sh
while read -r line; do eval "${line%%=*}='${line#*=}'"; done
case $action in
status) [ "$(cat "$ip")" = off ] && exit 2; exit 0 ;;
*) echo "$action" >>"$ip.log"; echo "$action" >"$ip" ;;
esac
"""


def install_agent(folder: Path) -> Path:
    """The folder that holds the agent; what BERTH_FENCE_DIR is set to."""
    folder.mkdir(exist_ok=True)
    (folder / "fence_ipmilan").write_text(AGENT)
    (folder / "fence_ipmilan").chmod(0o755)
    return folder


def silent_host(stage) -> Host:
    """A host that does not answer, with a machine that was running there, and its power on."""
    name = f"h-{next(_numbers)}"
    uri = f"sim://{name}?state={stage.images / name}"
    world(uri).unplug()
    host = Host.objects.create(
        cluster=stage.world.cluster, name=name, driver="simulated", uri=uri, observed_at=clock.now(), error="silent"
    )
    HostHealth.objects.create(host=host, silent_since=clock.now())
    plug = stage.images / f"{name}.plug"
    plug.write_text("on")
    FenceDevice.objects.create(host=host, agent="fence_ipmilan", address=str(plug))
    VirtualMachine.objects.create(
        cluster=stage.world.cluster, host=host, name=f"on-{name}", state="ready", power_state="running",
        available=True, memory_mib=16,
    )  # fmt: skip
    return host


def ask(stage):
    host = silent_host(stage)
    return enqueue("host.ask", actor=ACTOR, subject=host), host


def asked(stage, job, host) -> None:
    assert HostHealth.objects.get(host=host).asked_at is not None


def fence(stage):
    host = silent_host(stage)
    return enqueue("host.fence", actor=ACTOR, subject=host), host


def fenced(stage, job, host) -> None:
    """Its power was cut and came back; it was declared lost once, with one machine to restart."""
    plug = Path(host.fence_devices.get().address)
    assert plug.read_text().strip() == "on"
    assert Path(f"{plug}.log").read_text().split()[0] == "off"
    health = HostHealth.objects.get(host=host)
    assert (health.epoch, health.lost_at is not None) == (1, True)
    vm = VirtualMachine.objects.get(host=host)
    assert (vm.power_state, vm.power_reason) == ("off", "host lost")
    assert Recovery.objects.filter(vm=vm, host=host, epoch=1).count() == 1


def not_fenced(stage, job, host) -> None:
    """Cancelled before its power was cut: nothing happened."""
    plug = Path(host.fence_devices.get().address)
    assert plug.read_text().strip() == "on" and not Path(f"{plug}.log").exists()
    assert HostHealth.objects.get(host=host).epoch == 0


def clean(stage):
    """The real host is back under a name of its own, with a copy of a machine that was restarted elsewhere."""
    vm = stage.machine(running=True)
    back = Host.objects.create(
        cluster=stage.world.cluster, name=f"h-{next(_numbers)}", driver="libvirt", uri=stage.world.host.uri,
        observed_at=clock.now(),
    )  # fmt: skip
    HostHealth.objects.create(host=back, epoch=1, lost_at=clock.now())
    Recovery.objects.create(vm=vm, host=back, epoch=1, state=RecoveryState.DONE)
    return enqueue("host.clean", actor=ACTOR, subject=back), (back, vm)


def cleaned(stage, job, known) -> None:
    back, vm = known
    assert stage.power(vm.pk) is PowerState.MISSING
    assert stage.files_of(vm) == [disk.volume for disk in vm.disks.all()]
    assert HostHealth.objects.get(host=back).lost_at is None


def evacuate(stage):
    """The real hypervisor under a name of its own in the pair's cluster, with one machine that may only go right."""
    with stage.pair.target_closed():
        job = create_vm(actor=ACTOR, name=f"e-{next(_numbers)}", version=stage.pair.version, start=True, memory_mib=16)
        finish(job)
    vm = VirtualMachine.objects.get(pk=job.subject_id)
    assert vm.host is not None
    host = Host.objects.create(
        cluster=vm.cluster, name=f"h-{next(_numbers)}", uri=vm.host.uri, observed_at=clock.now(), state="maintenance"
    )
    bound = AffinityGroup.objects.create(cluster=vm.cluster, name=host.name, host_rule="together", host_hard=True)
    bound.machines.add(vm)
    bound.hosts.add(stage.pair.right)
    VirtualMachine.objects.filter(pk=vm.pk).update(host=host)
    return evacuate_host(actor=ACTOR, host=host), (host, vm)


def evacuated(stage, job, known) -> None:
    host, vm = known
    vm.refresh_from_db()
    host.refresh_from_db()
    assert (host.state, vm.host) == ("maintenance", stage.pair.right)
    assert stage.pair.there.observe_one(str(vm.pk)).power is PowerState.RUNNING
    assert stage.power(vm.pk) is PowerState.MISSING


def not_evacuated(stage, job, known) -> None:
    """In service again; its machine runs, here or, if it had arrived, there, or is still on the way back."""
    host, vm = known
    host.refresh_from_db()
    assert host.state == "active"
    there = stage.pair.there.observe_one(str(vm.pk)).power
    assert PowerState.RUNNING in (stage.power(vm.pk), there)
    Host.objects.filter(pk=host.pk).update(state="maintenance")  # it is the hypervisor of "left": no machine for it


def sleep(stage):
    """A host that saves power, with a machine that is off; the real hypervisor is the other host of its cluster."""
    name = f"h-{next(_numbers)}"
    cluster = Cluster.objects.create(name=name)
    uri = f"sim://{name}?state={stage.images / name}"
    host = Host.objects.create(
        cluster=cluster, name=name, driver="simulated", uri=uri, observed_at=clock.now(), may_sleep=True
    )
    Host.objects.create(cluster=cluster, name=f"{name}-other", uri=stage.world.host.uri, observed_at=clock.now())
    plug = stage.images / f"{name}.plug"
    plug.write_text("on")
    FenceDevice.objects.create(host=host, agent="fence_ipmilan", address=str(plug))
    vm = VirtualMachine.objects.create(
        cluster=cluster, host=host, name=f"on-{name}", state="ready", power_state="off", memory_mib=16
    )
    hosts.connection(host).define(specs.machine_spec(queries.whole_machine(vm.pk)))
    return enqueue("host.sleep", actor=ACTOR, subject=host), (host, vm, plug)


def slept(stage, job, known) -> None:
    """Switched off once; its machine is on the other host, in the row and in the world, and nowhere twice."""
    host, vm, plug = known
    host.refresh_from_db()
    vm.refresh_from_db()
    assert (host.state, host.asleep_at is not None, plug.read_text().strip()) == ("asleep", True, "off")
    assert set(Path(f"{plug}.log").read_text().split()) == {"off"}
    assert vm.host.name == f"{host.name}-other"
    assert stage.power(vm.pk) is PowerState.OFF
    assert hosts.connection(host).observe_one(str(vm.pk)).power is PowerState.MISSING


def not_slept(stage, job, known) -> None:
    """Its power is on and it serves, or will when it answers; where its machine is said to be, it is."""
    host, vm, plug = known
    host.refresh_from_db()
    vm.refresh_from_db()
    assert (host.state, plug.read_text().strip()) == ("asleep" if Path(f"{plug}.log").exists() else "active", "on")
    there = hosts.connection(host).observe_one(str(vm.pk)).power
    assert (there if vm.host == host else stage.power(vm.pk)) is PowerState.OFF


def wake(stage):
    """A host that sleeps, and is heard of the moment that it has power: the monitor is told beforehand."""
    name = f"h-{next(_numbers)}"
    plug = stage.images / f"{name}.plug"
    plug.write_text("off")
    host = Host.objects.create(
        cluster=Cluster.objects.create(name=name), name=name, driver="simulated", uri=f"sim://{name}", state="asleep",
        asleep_at=clock.now(), observed_at=clock.now() + timedelta(hours=1), may_sleep=True,
    )  # fmt: skip
    FenceDevice.objects.create(host=host, agent="fence_ipmilan", address=str(plug))
    return enqueue("host.wake", actor=ACTOR, subject=host), (host, plug)


def woken(stage, job, known) -> None:
    host, plug = known
    host.refresh_from_db()
    assert (host.state, host.asleep_at, plug.read_text().strip()) == ("active", None, "on")
