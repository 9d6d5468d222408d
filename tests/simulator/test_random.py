"""Faults and deeds in any order Hypothesis thinks of, over the real duty, jobs and placement.

After every step: no machine runs twice, no job is held for ever, no machine is restarted twice at once. When all is
well again, nothing is under way any more and the database believes what is so. A failing run prints its steps.
"""

from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.simulator.sim import Sim

SETUP = (
    "hosts a b c; vms x@a ha lease, y@b ha, z@c; no-fence c; "
    "rules detect_seconds=20 retry_seconds=30 quiet_seconds=0 lease_seconds=70 restart_every_seconds=10"
)
HOSTS, VMS = st.sampled_from("abc"), st.sampled_from("xyz")
FAULTS = ("off", "on", "cut", "heal", "cut-manager", "cut-storage", "kill-libvirt", "kill-agent")
DEEDS = ("confirm", "fence")
ASKED = ("start", "shutdown", "crash", "not-ha")
STEPS = st.sampled_from(
    [("host.ask", "ask"), ("host.fence", "cut"), ("host.fence", "settle"), ("host.clean", "remove")]
)  # fmt: skip


class Cluster(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._undo = transaction.atomic()
        self._undo.__enter__()
        self.sim = Sim(SETUP)

    @rule(fault=st.sampled_from(FAULTS), host=HOSTS)
    def something_breaks_or_mends(self, fault: str, host: str) -> None:
        self._do(f"{fault} {host}")

    @rule(kind=st.sampled_from(("ok", "lies", "dead", "refuses")), host=HOSTS)
    def power_management_changes(self, kind: str, host: str) -> None:
        self._do(f"fence-is {host} {kind}")

    @rule(deed=st.sampled_from(DEEDS), host=HOSTS)
    def an_admin_acts(self, deed: str, host: str) -> None:
        self._do(f"{deed} {host}")

    @rule(deed=st.sampled_from(ASKED), vm=VMS)
    def a_machine_is_asked_for_something(self, deed: str, vm: str) -> None:
        self._do(f"{deed} {vm}")

    @rule(step=STEPS, when=st.sampled_from(("before", "did")))
    def a_worker_dies(self, step: tuple[str, str], when: str) -> None:
        self._do(f"kill-worker {step[0]} {step[1]} {when}")

    @rule(state=st.sampled_from(("up", "down")))
    def managers_come_and_go(self, state: str) -> None:
        self._do(f"managers {state}")

    def _do(self, command: str) -> None:
        self.sim.do(command)
        self.sim.run_until(self.sim.now + 20)

    def teardown(self) -> None:
        try:
            self.sim.do("managers up")
            self.sim.kill = None
            for name in "abc":
                for command in (f"fence-is {name} ok", f"heal {name}", f"on {name}"):
                    self.sim.do(command)
            self.sim.run_until(self.sim.now + 150)
            self.sim.settled()
        finally:
            self.sim.close()
            transaction.set_rollback(True)
            self._undo.__exit__(None, None, None)


def test_whatever_happens(db):
    run_state_machine_as_test(
        Cluster,
        settings=settings(
            max_examples=3, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )  # fmt: skip
