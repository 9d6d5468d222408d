"""Redis stops and comes back empty: what was accepted meanwhile is done, and nothing is lost or done twice."""

import contextlib
import socket
import subprocess
import time

import pytest

from tests.e2e import server
from tests.e2e.conftest import clear
from tests.e2e.people import Person
from tests.e2e.test_consoles_end import call
from tests.servers import postgres

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


class Redis:
    """A server that can be stopped and started on its port, without persistence."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def test_what_was_accepted_while_redis_was_away_is_done(lab_host, tiny_image, chromium, outside):
    with contextlib.ExitStack() as stack:
        redis = Redis()
        stack.callback(redis.stop)
        stack.callback(clear, lab_host.uri)
        environment = {
            "BERTH_DATABASE_URL": stack.enter_context(postgres.running(migrated=True)),
            "BERTH_BROKER_URL": f"redis://127.0.0.1:{redis.port}/0",
            "BERTH_REDIS_URL": f"redis://127.0.0.1:{redis.port}/1",
        }
        berth = stack.enter_context(server.running(lab_host.uri, **environment))
        admin = Person(chromium, berth, "admin")
        admin.sign_in()
        machines = call(admin, "GET", "/api/v1/vms/")["results"]
        sleeping = next(row for row in machines if row["power_state"] == "off")

        redis.stop()
        began = time.monotonic()
        assert admin.page.request.get(berth.url + "/manage/machines/").ok
        job = call(admin, "POST", f"/api/v1/vms/{sleeping['id']}/start/")
        assert time.monotonic() - began < 10
        time.sleep(3)
        redis.start()

        deadline = time.monotonic() + 60
        job_id = (job.get("job") or job)["id"]
        while (state := call(admin, "GET", f"/api/v1/jobs/{job_id}/")["state"]) != "succeeded":
            assert state in ("queued", "running", "waiting"), state
            assert time.monotonic() < deadline, f"the job is still {state}"
            time.sleep(0.5)
        assert outside.connection.lookupByUUIDString(sleeping["id"]).isActive()
        jobs = call(admin, "GET", f"/api/v1/jobs/?subject_id={sleeping['id']}&plan=vm.start")["results"]
        assert [row["state"] for row in jobs if row["plan"] == "vm.start"].count("succeeded") == 1
        admin.close()
