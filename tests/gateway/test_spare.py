"""A gateway that is killed is there again at once, and none stays behind whoever dies."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from broker.gateway.handover import somebody_takes

pytestmark = [pytest.mark.timeout(240)]
PATIENCE = 60


class Pair:
    """`python -m broker.gateway` as the server starts it, with a lifeline of the test's."""

    def __init__(self, directory: Path):
        self.path = str(directory / "gateway.sock")
        lifeline, self._our_end = os.pipe()
        environment = {**os.environ, "BERTH_DATA_DIR": str(directory), "BERTH_SECRET_KEY": settings.SECRET_KEY}
        self.waits = subprocess.Popen(
            [sys.executable, "-m", "broker.gateway", "--handover", self.path, "--lifeline", str(lifeline)],
            env=environment, cwd=settings.BASE_DIR, pass_fds=(lifeline,), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(lifeline)
        self.takes()

    def takes(self) -> int:
        """Wait until a gateway takes connections; its process id."""
        until(lambda: somebody_takes(self.path))
        (gateway,) = Path(f"/proc/{self.waits.pid}/task/{self.waits.pid}/children").read_text().split()
        return int(gateway)

    def old_enough(self) -> None:
        """One that is killed right after its start is not made anew."""
        time.sleep(1.2)

    def let_go(self) -> None:
        if self._our_end >= 0:
            os.close(self._our_end)
            self._our_end = -1

    def stop(self) -> None:
        self.let_go()
        self.waits.kill()
        self.waits.wait()


def until(what) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill(process: int, number: int = signal.SIGKILL) -> None:
    """And wait until it is gone."""
    gone = os.pidfd_open(process)
    os.kill(process, number)
    assert select.select([gone], [], [], PATIENCE)[0]
    os.close(gone)


@pytest.fixture
def pair(tmp_path):
    running = Pair(tmp_path)
    yield running
    running.stop()


def test_a_killed_gateway_has_a_successor_and_its_door_is_never_away(pair):
    first = pair.takes()
    pair.old_enough()
    kill(first)
    assert Path(pair.path).exists()
    second = pair.takes()
    assert second != first and pair.waits.poll() is None
    pair.let_go()
    assert pair.waits.wait(PATIENCE) == 0
    until(lambda: not Path(f"/proc/{second}").exists())
    assert not Path(pair.path).exists()


def test_who_waits_is_told_to_stop_and_the_gateway_goes_in_order(pair):
    gateway = pair.takes()
    pair.waits.send_signal(signal.SIGTERM)
    assert pair.waits.wait(PATIENCE) == 0
    assert not Path(f"/proc/{gateway}").exists() and not Path(pair.path).exists()


def test_without_who_waits_the_gateway_goes(pair):
    gateway = pair.takes()
    pair.waits.kill()
    pair.waits.wait()
    until(lambda: not somebody_takes(pair.path))
    until(lambda: not Path(f"/proc/{gateway}").exists())


def test_one_that_dies_at_once_again_and_again_is_left_to_who_started_it(pair):
    kill(pair.takes())
    assert pair.waits.wait(PATIENCE) == 1
