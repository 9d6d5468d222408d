"""Three real hosts, NFS and iSCSI, in the browser: hosts come and go while the machines stay.

An administrator enrols the hosts, empties one while Alice works at her desktop's screen, moves a machine's disk from
NFS to iSCSI while it runs, loses a host to a power cut, and reads why its machines could be started elsewhere.
"""

import contextlib
import shutil
import time

import libvirt
import pytest

from tests.e2e import server
from tests.e2e.conftest import Outside
from tests.e2e.people import Person, difference
from tests.e2e.stillness import MOST, watched
from tests.e2e.test_consoles_end import call, user_id
from tests.e2e.test_main_job import at_rest
from tests.lab.lab import Lab
from tests.lab.share import share
from tests.lab.target import Target
from tests.virt.agent.enrolled import Joining

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(560)]
PATIENCE = 120
HA = {
    "detect_seconds": 8, "startup_seconds": 0, "lease_seconds": 27, "silent_share_percent": 100, "fencing": False,
    "restart_every_seconds": 5,
}  # fmt: skip


@pytest.fixture
def lab(lab_base):
    with Lab(lab_base / "cluster", 3) as lab:
        share(lab.hosts.values(), lab_base / "exported", lab_base / "tools")
        yield lab


@pytest.fixture
def site(lab, tmp_path, tiny_image):
    """The laboratory, an iSCSI target, and a Berth that knows of nothing yet."""
    with (
        Target(tmp_path / "luns", f"{lab.subnet}.1", luns=(16, 2048)) as target,
        server.empty(f"{lab.subnet}.1", "admin", "alice") as berth,
    ):
        (berth.data / "import").mkdir(exist_ok=True)
        shutil.copy(tiny_image, berth.data / "import" / "tiny.qcow2")
        yield lab, target, berth


@pytest.fixture
def people(chromium, site):
    two = [Person(chromium, site[2], name) for name in ("admin", "alice")]
    yield two
    for person in two:
        person.close()


def test_hosts_come_and_go_while_the_machines_stay(site, people, tmp_path):
    lab, target, _ = site
    admin, alice = people
    admin.sign_in()
    api = Api(admin)
    cluster = api.make("clusters", name="main")["id"]
    call(admin, "PATCH", f"/api/v1/clusters/{cluster}/", ha=HA)

    hosts = enrol(admin, lab, tmp_path)
    add_storage(admin, name="nas", kind="nfs", server="192.0.2.10", export="/export/vms")
    add_storage(admin, name="san", kind="iscsi", server=target.portal, export=target.name)
    # a host that does not see a storage at once looks again after a minute
    api.until(lambda: [row["status"] for row in api.rows("hosts")] == ["up"] * 3, 2 * PATIENCE)
    storages = {row["name"]: row["id"] for row in api.rows("storage-domains")}
    api.until(lambda: all(row["capacity_bytes"] and not row["error"] for row in api.rows("storage-domains")))

    # a desktop for Alice, and a machine beside it
    template = api.make("templates", cluster=cluster, name="tiny")["id"]
    wanted = {"storage": storages["nas"], "source": "tiny.qcow2", "memory_mib": 128}
    version = api.job("POST", f"templates/{template}/import-version/", **wanted)
    pool = api.make(
        "pools", name="desk", template=template, storage=storages["nas"], size=1, prestarted=1, stateful=True
    )
    api.make(f"pools/{pool['id']}/entitlements", user=user_id(admin, "alice"))
    web = api.job("POST", "vms/", name="web", version=version, storage=storages["nas"], start=True)
    for machine in (web, api.until(lambda: [row["id"] for row in api.rows("vms") if row["id"] != web])[0]):
        call(admin, "PATCH", f"/api/v1/vms/{machine}/", available=True, leased=True)

    alice.sign_in()
    alice.page.wait_for_url("**/console/", wait_until="commit")
    alice.wait_for_screen()
    desk = alice.machine
    first = api.host_of(desk)
    writes(alice, Outside(lab.hosts[first].uri), desk, "before")

    # her host is emptied under her: the page stays, the picture stays, what she types arrives where she is now
    seen = [row["id"] for row in api.rows(f"sessions/?vm={desk}")]
    alice.page.evaluate("window.kept = true")
    with watched(alice) as watching:
        admin.go(f"/manage/hosts/{hosts[first]}/maintenance/")
        admin.page.get_by_role("button", name="Put it into maintenance").click()
        admin.page.wait_for_url("**/manage/jobs/*/", wait_until="commit")
        api.until(lambda: api.get(f"hosts/{hosts[first]}/")["state"] == "maintenance")
        second = api.host_of(desk)
        assert second != first and api.host_of(web) != first
        api.until(
            lambda: [row["id"] for row in api.rows(f"sessions/?vm={desk}") if not row["close_reason"]] not in ([], seen)
        )
        alice.wait_for_screen()
        watching.moves()
        assert watching.seen()["longest"] <= MOST, watching.seen()
    writes(alice, Outside(lab.hosts[second].uri), desk, "after")
    assert alice.page.evaluate("window.kept") is True, "the page was loaded again"

    # the other machine's disk goes from NFS to iSCSI while it runs
    where = api.host_of(web)
    process = lab.hosts[where].qemu_pid(web)
    admin.go(f"/vms/{web}/disks/move")
    admin.page.select_option("select[name=storage]", storages["san"])
    admin.page.get_by_role("button", name="Move them").click()
    admin.page.wait_for_url(lambda url: not url.endswith("/move"), wait_until="commit")
    api.until(lambda: {row["storage"]["name"] for row in api.rows(f"vms/{web}/disks")} == {"san"})
    api.until(lambda: not api.active(web))
    assert lab.hosts[where].qemu_pid(web) == process
    assert "protocol='iscsi'" in definition(lab.hosts[where].uri, web)

    # the plug of the host with both, or of the desktop's: what ran there comes back elsewhere, and the page says why
    lost = [machine for machine in (desk, web) if api.host_of(machine) == second]
    lab.hosts[second].crash()
    (third,) = lab.hosts.keys() - {first, second}
    api.until(lambda: all(api.host_of(machine) == third for machine in lost))
    api.until(lambda: all(lab.hosts[third].qemu_pid(machine) for machine in lost))
    admin.go(f"/manage/hosts/{hosts[second]}/availability/")
    assert "its lease on storage has been over for long enough" in admin.page.inner_text("main")
    alice.go(f"/vms/{desk}/console/")
    alice.wait_for_screen(seconds=PATIENCE, elsewhere=True)
    assert [person.errors for person in people] == [[], []]


class Api:
    """What the administrator sees, asked for as the pages' own scripts do."""

    def __init__(self, admin: Person):
        self.admin = admin

    def get(self, path: str) -> dict:
        return call(self.admin, "GET", f"/api/v1/{path}")

    def rows(self, path: str) -> list[dict]:
        return self.get(path if "?" in path else f"{path}/")["results"]

    def make(self, path: str, **body) -> dict:
        return call(self.admin, "POST", f"/api/v1/{path}/", **body)

    def job(self, method: str, path: str, **body) -> str:
        """Have it done; returns the id of what it is about."""
        job = call(self.admin, method, f"/api/v1/{path}", **body)
        job = job.get("job") or job
        self.until(lambda: self.get(f"jobs/{job['id']}/")["state"] == "succeeded")
        return job["subject"]["id"]

    def active(self, machine: str) -> list[dict]:
        ended = ("succeeded", "failed", "cancelled", "errored")
        return [one for one in self.rows("jobs") if one["subject"]["id"] == machine and one["state"] not in ended]

    def host_of(self, machine: str) -> str:
        """Where it runs; "" while it does not."""
        vm = self.get(f"vms/{machine}/")
        return vm["host"]["name"] if vm["host"] and vm["power_state"] == "running" else ""

    def until(self, what, seconds: float = PATIENCE):
        """Ask again and again until there is an answer."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            if time.monotonic() > deadline:
                jobs = [(job["plan"], job["state"], job["message"], job["error"]) for job in self.rows("jobs")]
                raise AssertionError(f"{jobs}\n{self.admin.evidence()}")
            time.sleep(0.5)
        return found


def enrol(admin: Person, lab: Lab, base) -> dict[str, str]:
    """Each host by its form and its command; returns their ids by name."""
    joining = []
    for name, host in lab.hosts.items():
        admin.go("/manage/hosts/enrol")
        admin.page.fill("input[name=name]", name)
        admin.page.fill("input[name=address]", host.address)
        admin.page.select_option("select[name=cluster]", label="main")
        admin.page.get_by_role("button", name="Make a code").click()
        command, code = (admin.page.locator(one).inner_text() for one in ("#command", "#code"))
        joining.append(Joining(host, base / "hosts").begin(command, code.strip()))
    for one in joining:
        one.agent()
    return {row["name"]: row["id"] for row in Api(admin).rows("hosts")}


def add_storage(admin: Person, *, name: str, kind: str, server: str, export: str) -> None:
    admin.go("/manage/storage/new")
    admin.page.fill("input[name=name]", name)
    admin.page.select_option("select[name=cluster]", label="main")
    admin.page.select_option("select[name=kind]", kind)
    admin.page.fill("input[name=server]", server)
    admin.page.fill("input[name=export]", export)
    admin.page.locator("main form .btn-primary").click()
    admin.page.wait_for_url(lambda url: not url.endswith("/new"), wait_until="commit")


def definition(uri: str, machine: str) -> str:
    """As libvirt has it now."""
    with contextlib.closing(libvirt.open(uri)) as connection:
        return connection.lookupByUUIDString(machine).XMLDesc(0)


def writes(person: Person, outside: Outside, machine: str, word: str) -> None:
    """What is typed at the screen shows there, and arrives in the guest."""
    assert outside.read_file(machine, "/disk/nothing-yet", timeout=PATIENCE) is None
    deadline = time.monotonic() + PATIENCE
    while not at_rest(person):
        assert time.monotonic() < deadline, person.evidence()
    before = person.picture()
    person.type(f"echo {word} > /disk/{word}; sync\n")
    deadline = time.monotonic() + PATIENCE
    while not (found := outside.read_file(machine, f"/disk/{word}")) or difference(before, person.picture()) == 0.0:
        assert time.monotonic() < deadline, person.evidence()
        time.sleep(0.5)
    assert found.strip() == word
    outside.connection.close()
