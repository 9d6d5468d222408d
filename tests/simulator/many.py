"""Many simulated clusters under one clock and one duty: a scenario each, and no cluster knows of the others.

That is how the product meets many clusters, too, and a hundred scenarios cost little more than a few. What changes all
clusters at once (managers, their clock, the database) belongs to scenarios of their own.

Measured on one busy processor: 610 clusters a minute of its time (160 s of their life, three hosts each) here, 260 of
those that run alone (sim.py); nearly all of it is the product's own statements.
"""

import json
from datetime import datetime, timedelta

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.ha import duty, fencing
from broker.virt.models import FenceDevice, HaWatch, Host, HostSign, Recovery, Verdict
from tests.simulator.sim import BEGIN, STEP, Sim

EVERY = 6  # rounds after which a host in which nothing has changed is looked at all the same


class Many:
    def __init__(self, scenarios: dict[str, tuple[str, tuple[tuple[float, str], ...]]]):
        self.now, self.round = 0.0, 0
        clock.use(wall=lambda: BEGIN + timedelta(seconds=self.now), steady_clock=lambda: self.now)
        self.sims = {name: Sim(setup, alone=False) for name, (setup, _) in scenarios.items()}
        self._todo = {name: sorted(commands) for name, (_, commands) in scenarios.items()}
        self._of = {sim.cluster.pk: sim for sim in self.sims.values()}
        self._signs: dict[tuple[object, str, str], datetime] = {}
        self._looked: set[object] = set()
        self._like: dict[str, str] = {}
        for sim in self.sims.values():
            sim.sign, sim.looked = self._sign, lambda host, at: self._looked.add(host.pk)  # type: ignore[method-assign]
        fencing.runner = self._fence
        self.tick()
        HaWatch.objects.update(since=clock.now() - timedelta(hours=1))
        for sim in self.sims.values():
            sim.log.clear()

    def close(self) -> None:
        for sim in self.sims.values():
            sim.close()

    def run_until(self, end: float) -> None:
        while self.now < end:
            for name, todo in self._todo.items():
                while todo and todo[0][0] <= self.now:
                    self.sims[name].do(todo.pop(0)[1])
            self.now += STEP
            self.tick()

    def tick(self) -> None:
        self.round += 1
        began = clock.now()
        for sim in self.sims.values():
            sim.now = self.now
            sim._boot()
            sim._agents()
        self._write_signs()
        self._look()
        duty.run()
        next(iter(self.sims.values())).work()
        for verdict in Verdict.objects.filter(at__gte=began).select_related("host").order_by("at", "pk"):
            self._of[verdict.host.cluster_id].note_verdict(verdict)
        for sim in self.sims.values():
            sim.note_places()
        self.check()

    def check(self) -> None:
        """I1, I3 and I6 of every cluster."""
        for sim in self.sims.values():
            sim.check_places()
        limit = clock.now() + timedelta(seconds=31)
        assert not Job.objects.filter(state__in=ACTIVE, lease_until__gt=limit).exists()
        opened = list(Recovery.objects.filter(state__in=("waiting", "starting")).values_list("vm_id", flat=True))
        assert len(set(opened)) == len(opened)

    def _fence(self, device: FenceDevice, action: str) -> tuple[int, str]:
        return self._of[device.host.cluster_id].fence(device, action)

    def _sign(self, host: Host, source: str, at: datetime, *, by: str = "") -> None:
        self._signs[host.pk, source, by] = at

    def _write_signs(self) -> None:
        rows = [HostSign(host_id=host, source=source, by=by, at=at) for (host, source, by), at in self._signs.items()]
        keys = ("host", "source", "by")
        HostSign.objects.bulk_create(rows, update_conflicts=True, unique_fields=keys, update_fields=("at",))
        HostSign.objects.filter(host__in=self._looked, source="lease").update(looked_at=clock.now())
        self._signs.clear()
        self._looked.clear()

    def _look(self) -> None:
        """What monitors do; of a host in which nothing changed, a pass writes that it was made and nothing else."""
        same = []
        for title, sim in self.sims.items():
            for name, machine in sim.machines.items():
                with machine.world.changing() as data:
                    like = json.dumps([data["machines"], data["plugged"], machine.world.powered], default=str)
                key = f"{title} {name}"
                if self._like.get(key) == like and self.round % EVERY:
                    if data["plugged"] and machine.world.powered:
                        same.append(sim.hosts[name].pk)
                    continue
                self._like[key] = like
                sim.look_at(name)
        Host.objects.filter(pk__in=same, error="").update(observed_at=clock.now())
