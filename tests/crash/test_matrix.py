"""The crash matrix: every step boundary of every plan, with a worker killed, frozen past its lease and thawed, or
doubled; on real libvirt. After each: one terminal state, one effect, checked from outside.

Ninety cases run side by side, so that the end of a lease is waited for once by all of them; more machines than that
are more than two processors emulate.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from django.db import connections

from broker.jobs.models import Job
from broker.jobs.plans import PLANS
from broker.jobs.states import ENDED, JobState
from tests.crash.batch_scenarios import BATCHES
from tests.crash.crew import Crew, stopped
from tests.crash.disk_scenarios import DISKS
from tests.crash.hosts_scenarios import install_agent
from tests.crash.image_scenarios import IMAGES
from tests.crash.pair import Pair
from tests.crash.physical_scenarios import PHYSICAL
from tests.crash.scenarios import SCENARIOS as MACHINES
from tests.crash.scenarios import Stage
from tests.lab import guest
from tests.world import World

SCENARIOS = MACHINES | DISKS | IMAGES | BATCHES | PHYSICAL
# A lease of 30 s, found expired within 2 s by the waker, and the work itself; the machine does a hundred at once.
LEASE = 30.0
TAKEN_OVER_WITHIN = 40.0
# For the matrix, where nothing is asked but that it runs out under the killed and the frozen, and not under the others.
SHORT_LEASE = 10.0
AT_ONCE = 90
BEGUN_AT_ONCE = 4  # while one waits for QEMU to come up, others have work for two processors
FAULTS = [("killed", "before"), ("killed", "did"), ("frozen", "before"), ("frozen", "did"), ("tripled", "before")]


@dataclass
class Case:
    plan: str
    step: str
    fault: str
    when: str
    job: Job | None = None
    known: object = None
    pids: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        return f"{self.plan}/{self.step}: {self.fault} {self.when}"


def cases() -> list[Case]:
    found = []
    for plan in PLANS:
        for step in plan.steps:
            found += [Case(plan.name, step.name, fault, when) for fault, when in FAULTS]
            if step.undo and plan.cancellable and not any(s.last_exit for s in plan.steps[: plan.steps.index(step)]):
                found.append(Case(plan.name, step.name, "killed undoing", "undid"))
    return found


def test_every_plan_has_a_scenario():
    assert set(PLANS.names()) == set(SCENARIOS)


@pytest.fixture
def stage(transactional_db, connection, storage, lab_host, lab_hosts, settings, tmp_path, monkeypatch):
    settings.JOB_LEASE, settings.STARTS_PER_HOST = LEASE, 1000
    monkeypatch.setenv("BERTH_FENCE_DIR", str(install_agent(tmp_path / "agents")))  # the workers read it
    monkeypatch.setenv("BERTH_STARTS_PER_HOST", "1000")  # all cases start at once, and none waits for its turn
    import_dir = Path(settings.DATA_DIR) / "import"
    import_dir.mkdir(exist_ok=True, parents=True)
    guest.write_image(import_dir / "guest.qcow2", image_format="qcow2")
    world = World.build(driver="libvirt", uri=lab_host.uri, path=storage.path)
    guest.write_image(Path(storage.path) / world.version.volume, image_format="qcow2", period=0)
    world.version.size_bytes, world.version.memory_mib = 1 << 20, 16
    world.version.save()
    pair = Pair.build(world, lab_hosts.hosts["lab-a"])
    stage = Stage(world=world, host=connection, disks=Path(storage.path), images=import_dir, pair=pair)
    with stage.leaving:
        yield stage
    pair.there.close()


@pytest.fixture
def crew(request, transactional_db):
    crew = Crew(lease=getattr(request, "param", LEASE))
    yield crew
    crew.close()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("crew", [SHORT_LEASE], indirect=True, ids=["short-lease"])
@pytest.mark.parametrize("part", range(-(-len(cases()) // AT_ONCE)))
def test_the_matrix(stage, crew, part):
    """Fault F05 of docs/faults.md, among others."""
    matrix = cases()[part :: -(-len(cases()) // AT_ONCE)]
    assert len(matrix) > AT_ONCE / 2
    with ThreadPoolExecutor(BEGUN_AT_ONCE) as pool:
        list(pool.map(partial(_begin, stage), matrix))
    for case in matrix:
        if case.fault != "tripled":
            crew.wait_for_room()
            _strike(crew, case)
    for case in matrix:
        if case.fault == "tripled":
            _triple(crew, case)
    jobs = {case.job.pk for case in matrix}
    last_struck = time.monotonic()
    crew.drain(jobs, 300)
    print(f"{len(matrix)} cases; all had ended {time.monotonic() - last_struck:.0f} s after the last fault")
    _thaw(crew, matrix)
    wrong = [f"{case.name}: {problem}" for case in matrix if (problem := _problem(stage, case))]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.lab
@pytest.mark.slow
def test_a_dead_workers_job_ends_within_forty_seconds(stage, crew):
    case = Case("vm.create", "disk", "killed", "did")
    case.job, case.known = SCENARIOS[case.plan].begin(stage)
    began = time.monotonic()
    crew.wait_all({crew.send(case.job.pk, ("disk", "did", "kill"))}, 20)
    crew.drain({case.job.pk}, TAKEN_OVER_WITHIN - (time.monotonic() - began))
    assert _problem(stage, case) == ""


def _begin(stage: Stage, case: Case) -> None:
    """In a thread of its own, whose connection to the database it closes."""
    try:
        case.job, case.known = SCENARIOS[case.plan].begin(stage)
    finally:
        connections.close_all()


def _strike(crew: Crew, case: Case) -> None:
    act = (case.step, case.when, "kill" if case.fault.startswith("killed") else "stop")
    acts = [(case.step, "did", "cancel"), act] if case.fault == "killed undoing" else [act]
    case.pids.add(crew.send(case.job.pk, *acts))


def _triple(crew: Crew, case: Case) -> None:
    """A second and a third worker come while the first holds the lease."""
    crew.wait_for_room()
    _strike(crew, case)
    crew.wait_for_room(lambda pid: pid in case.pids, most=1)
    crew.wait_all({crew.send(case.job.pk), crew.send(case.job.pk)}, 30)
    for pid in case.pids & crew.alive:
        os.kill(pid, signal.SIGCONT)


def _thaw(crew: Crew, matrix: list[Case]) -> None:
    """The frozen come back after others have finished their work, and must do no harm."""
    frozen = {pid for case in matrix if case.fault == "frozen" for pid in case.pids & crew.alive}
    assert frozen, "no worker was frozen"
    assert all(stopped(pid) for pid in frozen)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    crew.wait_all(frozen, 60)


def _problem(stage: Stage, case: Case) -> str:
    job, scenario = Job.objects.get(pk=case.job.pk), SCENARIOS[case.plan]
    wanted = JobState.CANCELLED if case.fault == "killed undoing" else JobState.SUCCEEDED
    if job.state not in ENDED:
        return f"has not ended: {job.state}"
    # A cancel that comes after the last place for it lets the job succeed.
    undone = job.state == JobState.CANCELLED and case.fault == "killed undoing" and scenario.undone
    if job.state != wanted and not (wanted == JobState.CANCELLED and job.state == JobState.SUCCEEDED):
        return f"ended {job.state}: {job.error}"
    try:
        (scenario.undone if undone else scenario.done)(stage, job, case.known)
    except AssertionError as error:
        return f"{job.state}, but: {error}"[:500]
    return ""
