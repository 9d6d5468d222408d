"""A physical PC from the form to the screen: added by an administrator, given to Alice, who works at it in Chromium.

QEMU's VNC server with a password plays the PC, behind a cable of its own.
"""

import time

import pytest
from PIL import Image

from tests.e2e import server
from tests.e2e.people import Person, difference
from tests.e2e.test_consoles_end import call, user_id
from tests.lab.pc import LabPc

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(420)]
PASSWORD = "s3cret-x"
PATIENCE = 120


def until(question, evidence):
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, evidence()
        time.sleep(0.3)
    return answer


def test_alice_works_at_a_pc_whose_password_she_never_sees(chromium, lab_base):
    with LabPc() as pc, server.empty("127.0.0.1", "admin", "alice") as berth:
        pc.show_screen(password=PASSWORD)
        admin, alice = (Person(chromium, berth, name) for name in ("admin", "alice"))
        admin.sign_in()
        cluster = call(admin, "POST", "/api/v1/clusters/", name="campus")
        admin.go("/manage/physical-pcs/new")
        for field, value in (("name", "pc-1"), ("title", "Desk by the window"), ("address", pc.address),
                             ("vnc_password", PASSWORD)):  # fmt: skip
            admin.page.fill(f"[name={field}]", value)
        admin.page.select_option("[name=cluster]", cluster["id"])
        admin.page.get_by_role("button", name="Save").click()
        admin.page.wait_for_url("**/vms/*/")
        machine = admin.machine
        (role,) = [one for one in call(admin, "GET", "/api/v1/roles/")["results"] if one["name"] == "vm-user"]
        granted = {"role": role["id"], "user": user_id(admin, "alice"), "object_kind": "vm", "object_id": machine}
        call(admin, "POST", "/api/v1/grants/", **granted)

        def power() -> str:
            return call(admin, "GET", f"/api/v1/vms/{machine}/")["power_state"]

        until(lambda: power() == "running", berth.text)
        heard: list[str | bytes] = []

        def hear(frame: str | bytes) -> None:
            heard.append(frame)

        alice.page.on("websocket", lambda socket: socket.on("framereceived", hear))
        alice.page.on("response", lambda answer: heard.append(answer.url))
        alice.sign_in()
        alice.go(f"/vms/{machine}/console/")
        alice.wait_for_screen()

        def same() -> bool:
            return difference(alice.picture(), Image.open(pc.screenshot()).convert("RGB")) < 0.01

        until(same, alice.evidence)
        assert len(alice.picture().getcolors(1 << 24)) > 1, "there is writing on it"
        assert PASSWORD not in alice.page.content() and not any(PASSWORD in str(one) for one in heard)
        assert PASSWORD not in berth.text()
        (session,) = [one for one in call(admin, "GET", "/api/v1/sessions/")["results"] if one["state"] == "open"]
        assert (session["user"]["name"], session["vm"]["name"]) == ("alice", "pc-1")
        pc.hush()
        until(lambda: power() == "off", berth.text)
        admin.close()
        alice.close()
