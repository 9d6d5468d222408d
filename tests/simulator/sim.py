"""A cluster on a virtual clock: hosts, cables, storage, leases, power management; the real duty, jobs and placement.

What is simulated is what lies outside Berth: hypervisors (the simulated driver), the monitor's looks at them, agents,
fence devices and time. Everything that decides is the product's own code, over the test's database.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Unavailable
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.jobs.states import ACTIVE
from broker.virt import hosts, observe, specs
from broker.virt.driver import PowerState
from broker.virt.drivers.simulated import connect
from broker.virt.ha import duty, fencing, signs
from broker.virt.models import (
    Cluster,
    FenceDevice,
    HaWatch,
    Host,
    HostHealth,
    HostSign,
    Recovery,
    Verdict,
    VirtualMachine,
)
from broker.virt.monitor import facts
from tests.simulator.machine import Killed, Machine, pairs

SYSTEM = Actor.system("simulator")
STEP = 10.0
LOOK_EVERY = 10.0
LEASE_STOP = 60.0  # an agent that cannot renew stops its guests after this long, well before others may start them
BOOT = 40.0
BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


class Sim:
    """`setup`: "hosts a b c; vms x@a ha, y@b ha lease p90; no-fence c; rules detect_seconds=30; placement …"."""

    def __init__(self, setup: str, *, alone: bool = True):
        self.now, self.log = 0.0, []
        self.managers, self.read_only = True, False
        self.kill: tuple[str, str, str] | None = None
        self.double: set[str] = set()
        self._vms: dict[str, VirtualMachine] = {}
        self._seen: dict[str, object] = {}
        self._looked = -LOOK_EVERY
        self.site = uuid4().hex
        if alone:
            clock.use(wall=lambda: BEGIN + timedelta(seconds=self.now), steady_clock=lambda: self.now)
            fencing.runner = self.fence
        words = [part.strip() for part in setup.split(";") if part.strip()]
        parts = {line.split()[0]: line.split(None, 1)[1] if " " in line else "" for line in words}
        self.cluster = Cluster.objects.create(
            name=f"c-{self.site[:8]}", ha=pairs(parts.get("rules", "")), rules=pairs(parts.get("placement", ""))
        )
        self.hosts = {name: self._host(name, parts) for name in parts["hosts"].split()}
        self.machines = {name: self._under[name] for name in self.hosts}
        for text in parts.get("vms", "").split(","):
            if text.strip():
                self._vm(text.split())
        if not alone:
            return
        self.tick()
        # As after hours of calm: the grace after a start of the managers is over, unless a scenario is about it.
        HaWatch.objects.update(since=clock.now() - timedelta(hours=1))
        self.log.clear()

    _under: dict[str, Machine]

    def _host(self, name: str, parts: dict[str, str]) -> Host:
        memory = dict(pairs(parts.get("memory", ""))).get(name, 64)
        uri = f"sim://{self.site}-{name}?site={self.site}&memory={memory * 1024}"
        if not hasattr(self, "_under"):
            self._under = {}
        self._under[name] = Machine(name, uri)
        host = Host.objects.create(cluster=self.cluster, name=f"{name}-{self.site[:8]}", driver="simulated", uri=uri)
        if name not in parts.get("no-fence", "").split():
            FenceDevice.objects.create(host=host, agent="fence_ipmilan", address=name)
        return host

    def _vm(self, words: list[str]) -> None:
        name, _, on = words[0].partition("@")
        size = next((int(word[1:]) for word in words if word[0] == "g" and word[1:].isdigit()), 1)
        rank = next((int(word[1:]) for word in words if word[0] == "p" and word[1:].isdigit()), 50)
        vm = VirtualMachine.objects.create(
            cluster=self.cluster, host=self.hosts[on], name=f"{name}-{self.site[:8]}", state="ready",
            memory_mib=size * 1024 - 64, available="ha" in words, leased="lease" in words, priority=rank,
            created_at=BEGIN - timedelta(days=1),
        )  # fmt: skip
        self._vms[name] = vm
        line = connect(self._under[on].uri)
        line.define(specs.machine_spec(vm))
        if "down" not in words:
            line.start(str(vm.pk))

    def close(self) -> None:
        fencing.runner = fencing.run_agent
        clock.restore()
        for host in self.hosts.values():
            hosts.forget(host)

    # -- time ------------------------------------------------------------------------------------------------

    def run_until(self, end: float, commands: tuple[tuple[float, str], ...] = ()) -> None:
        """Let time pass; each command is done at its time. Invariants are checked after every step."""
        todo = sorted(commands)
        while self.now < end:
            while todo and todo[0][0] <= self.now:
                self.do(todo.pop(0)[1])
            self.now += STEP
            self.tick()

    def tick(self) -> None:
        self._boot()
        self._agents()
        if self.now - self._looked >= LOOK_EVERY:
            self._looked = self.now
            self.look()
        if self.managers and not self.read_only:
            duty.run()
            self.work()
        self.note()
        self.check()

    def look(self) -> None:
        """What the monitor does in one pass, host by host."""
        if not self.managers or self.read_only:
            return
        for name in self.hosts:
            self.look_at(name)

    def look_at(self, name: str) -> None:
        host = self.hosts[name]
        try:
            line = connect(self.machines[name].uri)
            facts.write(host, line.facts())
            observe.apply(host, line.observe(), full_pass=True, at=clock.now())
        except BerthError as error:
            facts.unreachable(host, error)

    def work(self) -> None:
        """Do every job that is due, as workers would; one may be killed at a boundary."""
        for _ in range(6):
            due = Job.objects.filter(state__in=ACTIVE, lease_until__lte=clock.now(), next_run_at__lte=clock.now())
            ids = list(due.order_by("created_at", "pk").values_list("pk", flat=True))
            if not ids:
                return
            for job_id in ids:
                try:
                    Runner(self._boundary).run(job_id)
                except Killed:
                    self.say("worker killed")

    def _boundary(self, plan: str, step: str, when: str) -> None:
        if self.kill == (plan, step, when):
            self.kill = None
            raise Killed

    def _boot(self) -> None:
        for machine in self.machines.values():
            if machine.boots_at is not None and self.now >= machine.boots_at:
                machine.boots_at = None
                machine.world.power_on()

    def _agents(self) -> None:
        at = clock.now()
        for name, machine in self.machines.items():
            if self.managers and not self.read_only:
                self._look_at_lease(name, at)
            if not machine.world.powered:
                machine.storage_lost_at = None
                continue
            if machine.storage:
                machine.storage_lost_at = None
            elif machine.storage_lost_at is None:
                machine.storage_lost_at = self.now
            self._guard(machine)
            if not self.managers or self.read_only:
                continue
            host = self.hosts[name]
            if machine.agent and machine.cable and machine.manager_cable:
                self.sign(host, "agent", at)
            if machine.agent and machine.storage and any(vm.leased for vm in self._vms.values()):
                self.sign(host, "lease", at)
            for other in self.machines.values():
                near = other is not machine and other.reachable and other.agent
                if near and machine.cable and not machine.manager_cable:
                    self.sign(host, "peer", at, by=other.name)

    def _look_at_lease(self, name: str, at: datetime) -> None:
        """Agents of others that reach the storage and the manager look at the lease, whether it moves or not."""
        if any(other.sees for key, other in self.machines.items() if key != name):
            self.looked(self.hosts[name], at)

    def sign(self, host: Host, source: str, at: datetime, *, by: str = "") -> None:
        signs.note(host, source, at, by=by)

    def looked(self, host: Host, at: datetime) -> None:
        HostSign.objects.filter(host=host, source="lease").update(looked_at=at)

    def _guard(self, machine: Machine) -> None:
        """The agent, or the watchdog when that is dead, stops the guests a host may no longer run."""
        if machine.agent and machine.storage:
            machine.__dict__.pop("idle_since", None)
            return
        since = machine.__dict__.setdefault("idle_since", self.now)
        if self.now - since >= LEASE_STOP:
            leased = {str(vm.pk) for vm in self._vms.values() if vm.leased}
            with machine.world.changing() as data:
                for key in machine.world.running() & leased:
                    data["machines"][key].update(power="off", reason="lease lost")

    # -- what happens outside Berth --------------------------------------------------------------------------

    def do(self, command: str) -> None:
        """One fault or deed: "off a", "on a", "cut a", "heal a", "cut-storage a", "fence-lies a", …"""
        verb, *names = command.split()
        self.say(f"> {command}")
        deed = getattr(self, f"do_{verb.replace('-', '_')}")
        deed(*names)
        for machine in self.machines.values():
            machine.apply()

    def do_off(self, name: str) -> None:
        self.machines[name].world.power_off()
        self.machines[name].boots_at = None

    def do_on(self, name: str) -> None:
        self.machines[name].world.power_on()

    def do_cut(self, name: str) -> None:
        self.machines[name].cable = False

    def do_heal(self, name: str) -> None:
        machine = self.machines[name]
        machine.cable = machine.manager_cable = machine.storage = machine.agent = machine.libvirt = True

    def do_cut_manager(self, name: str) -> None:
        self.machines[name].manager_cable = False

    def do_cut_storage(self, name: str) -> None:
        self.machines[name].storage = False

    def do_kill_libvirt(self, name: str) -> None:
        self.machines[name].libvirt = False

    def do_kill_agent(self, name: str) -> None:
        self.machines[name].agent = False

    def do_fence_is(self, name: str, kind: str) -> None:
        self.machines[name].fence = kind

    def do_crash(self, name: str) -> None:
        """The guest's QEMU is killed."""
        key = str(self._vms[name].pk)
        for machine in self.machines.values():
            with machine.world.changing() as data:
                if key in machine.world.running():
                    data["machines"][key].update(power="crashed", reason="failed")

    def do_confirm(self, name: str) -> None:
        from broker.virt.actions.confirm_rebooted import confirm_rebooted

        self._deed(lambda: confirm_rebooted(actor=SYSTEM, host=self.hosts[name]))

    def do_fence(self, name: str) -> None:
        from broker.virt.actions.fence_host import fence_host

        self._deed(lambda: fence_host(actor=SYSTEM, host=self.hosts[name]))

    def do_maintain(self, name: str) -> None:
        Host.objects.filter(pk=self.hosts[name].pk).update(state="maintenance")

    def do_start(self, name: str) -> None:
        from broker.virt.actions.start_vm import start_vm

        self._deed(lambda: start_vm(actor=SYSTEM, vm=VirtualMachine.objects.get(pk=self._vms[name].pk)))

    def do_shutdown(self, name: str) -> None:
        from broker.virt.actions.power_off_vm import power_off_vm

        self._deed(lambda: power_off_vm(actor=SYSTEM, vm=VirtualMachine.objects.get(pk=self._vms[name].pk)))

    def do_not_ha(self, name: str) -> None:
        VirtualMachine.objects.filter(pk=self._vms[name].pk).update(available=False)

    def do_managers(self, state: str) -> None:
        self.managers = state == "up"

    def do_database(self, state: str) -> None:
        self.read_only = state == "read-only"

    def do_jump(self, seconds: str) -> None:
        """The managers' clock is set to another time; the world goes on as it was."""
        global BEGIN
        offset = timedelta(seconds=float(seconds))
        begin = clock.now() - timedelta(seconds=self.now) + offset
        clock.use(wall=lambda: begin + timedelta(seconds=self.now), steady_clock=lambda: self.now)

    def do_kill_worker(self, plan: str, step: str, when: str) -> None:
        self.kill = (plan, step, when)

    def do_rule(self, pair: str) -> None:
        self.cluster.ha = {**self.cluster.ha, **pairs(pair)}
        self.cluster.save()

    def _deed(self, act) -> None:
        try:
            act()
        except BerthError as error:
            self.say(f"refused: {error.rule}")

    def fence(self, device: FenceDevice, action: str) -> tuple[int, str]:
        """The power management of a host."""
        machine = self.machines[device.address]
        if machine.fence == "dead":
            raise Unavailable("no answer", fix="", rule="fence.answers")
        if action == "status":
            off = machine.fence == "lied" or not machine.world.powered
            return (2 if off else 0), ""
        self.say(f"power {action} {device.address}")
        if machine.fence == "refuses":
            return 1, "no"
        if machine.fence in ("lies", "lied"):
            machine.fence = "lied" if action == "off" else "lies"
        elif machine.fence == "ok" and action == "off":
            machine.world.power_off()
        elif machine.fence == "ok" and action == "on" and not machine.world.powered:
            machine.boots_at = self.now + BOOT
        return 0, ""

    # -- what is seen ----------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self.log.append(f"{self.now:5.0f} {text}")

    def note(self) -> None:
        """Add to the log what changed: verdicts, and where machines run."""
        for verdict in Verdict.objects.filter(host__cluster=self.cluster).order_by("at", "pk"):
            if verdict.pk not in self._seen:
                self._seen[verdict.pk] = True
                self.note_verdict(verdict)
        self.note_places()

    def note_verdict(self, verdict: Verdict) -> None:
        name = next(name for name, host in self.hosts.items() if host.pk == verdict.host_id)
        self.say(f"{name} {verdict.decision} {verdict.rule}")

    def note_places(self) -> None:
        for name, place in self.places().items():
            if self._seen.get(name, place) != place:
                self.say(f"{name} {self._seen[name]}>{place}")
            self._seen[name] = place

    def places(self) -> dict[str, str]:
        """Where each machine really runs: a host's name, "-" for nowhere, "a+b" for two."""
        running = {name: machine.world.running() for name, machine in self.machines.items()}
        return {
            name: "+".join(host for host in sorted(running) if str(vm.pk) in running[host]) or "-"
            for name, vm in self._vms.items()
        }

    def ends(self) -> str:
        return " ".join(f"{name}@{place}" for name, place in self.places().items())

    def believed(self) -> dict[str, str]:
        """Where the database says that machines run."""
        names = {host.pk: name for name, host in self.hosts.items()}
        rows = VirtualMachine.objects.filter(pk__in=[vm.pk for vm in self._vms.values()])
        up = {row.pk: names[row.host_id] for row in rows if row.power_state in (PowerState.RUNNING, PowerState.PAUSED)}
        return {name: up.get(vm.pk, "-") for name, vm in self._vms.items()}

    def check(self) -> None:
        """I1, I3, I6 and what follows from them, after every step."""
        self.check_places()
        self.check_rows()

    def check_places(self) -> None:
        """I1."""
        for name, place in self.places().items():
            assert "+" not in place, f"at {self.now:.0f} s {name} runs twice: {place}"

    def check_rows(self) -> None:
        for job in Job.objects.filter(state__in=ACTIVE):
            assert job.lease_until <= clock.now() + timedelta(seconds=31), f"{job} is held for ever"
        opened = Recovery.objects.filter(state__in=("waiting", "starting"))
        assert len({row.vm_id for row in opened}) == opened.count()
        for row in Recovery.objects.filter(epoch__gt=0, host__cluster=self.cluster):
            assert row.epoch <= HostHealth.objects.get(host=row.host_id).epoch

    def settled(self) -> None:
        """I2, I3, I6: after calm nothing is under way, and the database believes what is so."""
        assert not Job.objects.filter(state__in=ACTIVE).exists(), list(Job.objects.filter(state__in=ACTIVE))
        assert self.believed() == self.places()
