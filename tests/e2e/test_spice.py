"""SPICE on a real guest, in the browser and in Remote Viewer: both show its own screen and type into it, through the
one public port; and Remote Viewer is let go when its person signs out.
"""

import re
import subprocess
import time
from datetime import datetime

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e import viewer
from tests.e2e.people import Person, difference
from tests.e2e.stillness import watched
from tests.e2e.test_consoles_end import MOST_SECONDS, call, stillness_of_restarts

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(420)]
PATIENCE = 120


def until(question, what, seconds: float = PATIENCE):
    """Ask again and again until there is an answer; `what` says what was waited for."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)
    return answer


@pytest.fixture
def admin(chromium, berth):
    person = Person(chromium, berth, "admin")
    person.sign_in()
    yield person
    person.close()


@pytest.fixture(scope="module")
def machine(chromium, berth):
    """A tiny guest that has both kinds of screen, made through the API."""
    admin = Person(chromium, berth, "admin")
    admin.sign_in()

    def done(job) -> bool:
        now = call(admin, "GET", f"/api/v1/jobs/{job['id']}/")
        assert now["state"] not in ("failed", "errored"), now
        return now["state"] == "succeeded"

    (cluster,) = call(admin, "GET", "/api/v1/clusters/")["results"]
    (storage,) = call(admin, "GET", "/api/v1/storage-domains/")["results"]
    template = call(admin, "POST", "/api/v1/templates/", cluster=cluster["id"], name="both-screens")
    image = {"storage": storage["id"], "source": "tiny.qcow2", "vcpus": 1, "memory_mib": 128}
    job = call(admin, "POST", f"/api/v1/templates/{template['id']}/import-version/", **image, graphics=["vnc", "spice"])
    until(lambda: done(job), lambda: "the image is imported")
    (version,) = call(admin, "GET", f"/api/v1/template-versions/?template={template['id']}")["results"]
    call(admin, "POST", "/api/v1/vms/", name="both", version=version["id"], storage=storage["id"], start=True)

    def running():
        (row,) = call(admin, "GET", "/api/v1/vms/?search=both")["results"]
        if row["power_state"] != "running":
            return None
        return row["id"] if call(admin, "GET", f"/api/v1/vms/{row['id']}/")["guest"].get("agent") else None

    yield until(running, lambda: "the guest has started")
    admin.close()


def screen_of(machine, outside, folder) -> Image.Image:
    """What the guest shows, by libvirt's word."""
    shot = Image.open(outside.screenshot(machine, folder / "shot.ppm")).convert("RGB")
    assert len(shot.getcolors(1 << 24)) > 1, "there is writing on it"
    return shot


@pytest.mark.parametrize("berth", ["sqlite"], indirect=True)
def test_the_screen_in_chromium(admin, machine, berth, outside, tmp_path):
    def same() -> bool:
        return difference(admin.picture(), screen_of(machine, outside, tmp_path)) < 0.01

    admin.go(f"/vms/{machine}/console/")
    admin.wait_for_screen()
    admin.page.get_by_role("button", name="Show the toolbar").click()
    menu = admin.page.get_by_role("button", name="Picture", exact=True)
    menu.click()
    admin.page.get_by_role("radio", name=re.compile("^SPICE")).check()
    menu.click()
    admin.page.wait_for_selector("body[data-phase=open][data-kind=spice]", timeout=PATIENCE * 1000)
    until(same, admin.evidence)
    admin.type("echo 'Typed (1) by SPICE!' > /disk/one\n")
    until(lambda: outside.read_file(machine, "/disk/one"), admin.evidence)
    assert outside.read_file(machine, "/disk/one").strip() == "Typed (1) by SPICE!"
    until(same, admin.evidence)

    # The gateway restarts: what was seen last stays until the screen is back, by the same way.
    with watched(admin) as watching:
        stillness_of_restarts(admin, berth, watching, "spice")
    until(same, admin.evidence)
    assert admin.errors == []


def another_authority(folder) -> str:
    """A certificate that signs others, as a .vv file has it."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(
        [*made, "-subj", "/CN=x", "-keyout", folder / "x.key", "-out", folder / "x.pem"],
        check=True,
        capture_output=True,
    )
    return (folder / "x.pem").read_text().strip().replace("\n", r"\\n")


@pytest.mark.parametrize("berth", ["sqlite"], indirect=True)
def test_the_screen_in_remote_viewer(admin, machine, berth, outside, tmp_path):
    public = berth.url.partition("//")[2]
    admin.go(f"/vms/{machine}/")
    admin.page.get_by_role("button", name=re.compile("^Choose how to connect")).click()
    with admin.page.expect_download() as download:
        admin.page.get_by_role("button", name=re.compile("Remote Viewer")).click()
    file = tmp_path / "screen.vv"
    download.value.save_as(file)
    text = file.read_text()
    assert "tls-port=5901" in text and "\nport=" not in text
    with viewer.opened(file, tmp_path) as remote:

        def evidence() -> str:
            return remote.log.read_text()[-3000:] + berth.text()[-2000:]

        def same() -> bool:
            return remote.shows(screen_of(machine, outside, tmp_path))

        until(same, evidence)
        assert not file.exists(), "the ticket stays on no disk"
        assert not remote.refuses()
        remote.type("echo 'Typed (2) from afar!' > /disk/two")
        until(lambda: outside.read_file(machine, "/disk/two"), evidence)
        assert outside.read_file(machine, "/disk/two").strip() == "Typed (2) from afar!"
        until(same, evidence)
        assert remote.peers() == {public}, "all its connections lead to the public port"
        open_ports = viewer.listening()
        assert public in open_ports
        assert not [where for where, program in open_ports.items() if "qemu" in program], open_ports
        sessions = call(admin, "GET", f"/api/v1/sessions/?vm={machine}&state=open")["results"]
        assert [row["kind"] for row in sessions if row["via"] == "native"] == ["spice"]

        # Who signs out leaves nothing behind.
        admin.page.locator("form[action$='sign-out']").first.evaluate("form => form.requestSubmit()")
        expect(admin.page).to_have_url(re.compile("/sign-in"), timeout=60_000)
        until(lambda: not remote.peers(), lambda: "the program is still connected", MOST_SECONDS)
    spoilt = {
        "another name": re.sub("host-subject=.*", "host-subject=O=Berth,CN=elsewhere.invalid", text),
        "another authority": re.sub("ca=.*", "ca=" + another_authority(tmp_path), text),
    }
    for what, words in spoilt.items():
        file.write_text(words)
        with viewer.opened(file, tmp_path) as remote:
            until(lambda remote=remote: remote.refuses(), lambda remote=remote: remote.log.read_text()[-3000:])
            assert "The session" not in remote.log.read_text(), what
    # Closing the program ends its session there and then, and an administrator's word ends the program.
    admin.sign_in()

    def newest():
        found = call(admin, "GET", f"/api/v1/sessions/?vm={machine}")["results"]
        return max((row for row in found if row["via"] == "native"), key=lambda row: row["opened_at"])

    before = newest()["id"]
    for reason in ("finished", "ended"):
        admin.go(f"/vms/{machine}/ways/")
        admin.page.get_by_role("checkbox", name="Full screen").first.check()
        with admin.page.expect_download() as download:
            admin.page.get_by_role("button", name=re.compile("Get the file .*vv")).click()
        download.value.save_as(file)
        assert "fullscreen=1" in file.read_text()
        with viewer.opened(file, tmp_path) as remote:
            session = until(lambda last=before: (row := newest())["id"] != last and row, berth.text)
            before = session["id"]
            until(lambda remote=remote: len(remote.peers()) and "Insert display" in remote.log.read_text(), berth.text)
            if reason == "ended":
                call(admin, "POST", f"/api/v1/sessions/{before}/end/")
                until(lambda remote=remote: not remote.peers(), berth.text, MOST_SECONDS)
            lasted = time.time() - datetime.fromisoformat(session["opened_at"]).timestamp()
        over = until(lambda: (row := newest())["state"] == "closed" and row, berth.text, MOST_SECONDS)
        assert over["close_reason"] == reason
        opened, closed = (datetime.fromisoformat(over[name]) for name in ("opened_at", "closed_at"))
        assert lasted - 1 < (closed - opened).total_seconds() < lasted + MOST_SECONDS
    assert admin.errors == []
    assert "Traceback" not in berth.text()
