"""Two simulated hosts with power management: a plug that is pulled when power is cut, and a monitor that is called."""

from datetime import timedelta

from broker.core import clock
from broker.core.errors import BerthError
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.jobs.states import ACTIVE
from broker.virt import hosts, observe, power_saving
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.drivers.simulated.world import world
from broker.virt.ha import duty, fencing
from broker.virt.models import Cluster, Host
from broker.virt.monitor import facts
from tests.virt.actions.stage import SYSTEM
from tests.virt.plans.test_migrate import Pair

RULES = {"policy": "power_saving", "host_power_management": True, "hosts_in_reserve": 0}


class Powered(Pair):
    """Both hosts answer, are in service and may be switched off. `orders`: what power management was told.

    `ways`, by host: "deaf" (power management does not answer), "lies" (takes orders and does nothing), "dead" (the host
    does not come up). Install `run` as fencing.runner.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on, self.orders, self.ways = {"left": True, "right": True}, list[tuple[str, str]](), dict[str, str]()
        Host.objects.update(state="active", observed_at=clock.now())
        for host in (self.left, self.right):
            create_fence_device(actor=SYSTEM, host=host, agent="fence_ipmilan", address=host.name)
        Host.objects.update(may_sleep=True)
        self.rules()
        self.see()

    def rules(self, **more) -> None:
        Cluster.objects.filter(pk=self.world.cluster.pk).update(rules=RULES | more)

    def run(self, device, action: str) -> tuple[int, str]:
        name = device.host.name
        way = self.ways.get(name, "")
        if way == "deaf":
            return 1, "no answer"
        if action == "status":
            return (0 if self.on[name] else 2), ""
        self.orders.append((name, action))
        if way == "lies":
            return 0, ""
        self.on[name] = action == "on"
        host = Host.objects.get(name=name)
        if action == "off":
            world(host.uri).unplug()
        elif way != "dead":
            world(host.uri).plug()
        hosts.forget(host)
        return 0, ""

    def see(self) -> None:
        """What the monitor and high availability do meanwhile."""
        for host in Host.objects.all():
            hosts.forget(host)
            try:
                line = hosts.connection(host)
                facts.write(host, line.facts())
                observe.apply(host, line.observe(), full_pass=True, at=clock.now())
            except BerthError as error:
                facts.unreachable(host, error)
        duty.run()

    def work(self, rounds: int = 8, *, duty_too: bool = True) -> None:
        """Rounds of everything: the monitor looks, the duty decides, each job takes a turn."""
        for _ in range(rounds):
            self.see()
            if duty_too:
                power_saving.run()
            Job.objects.filter(state__in=ACTIVE).update(next_run_at=clock.now() - timedelta(seconds=1))
            for pk in list(Job.objects.filter(state__in=ACTIVE).order_by("created_at").values_list("pk", flat=True)):
                Runner().run(pk)
        self.see()

    def state(self, name: str) -> str:
        return Host.objects.get(name=name).state

    def empty_for(self, minutes: float, *names: str) -> None:
        self.see()
        power_saving.run()
        Host.objects.filter(name__in=names).update(empty_since=clock.now() - timedelta(minutes=minutes))


def installed(monkeypatch) -> Powered:
    powered = Powered()
    monkeypatch.setattr(fencing, "runner", powered.run)
    return powered
