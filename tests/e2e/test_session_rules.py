"""Session rules on a real guest: one person on two devices, the end of the longest session, and what follows leaving.

The delays are short; what is waited for is a state, each time with much more patience than it needs.
"""

import time
from datetime import UTC, datetime

import pytest

from tests.e2e.people import Person
from tests.e2e.test_consoles_end import call

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(420)]
PATIENCE = 90
# The tiny guest has an agent and no login daemon: it cannot be locked, which is to be told with what comes next.
LEAVING = {"leave": "lock", "leave_after": 0, "then": "give-back", "then_after": 20, "kept": "your files in D:"}
REST = 35
"""Seconds left of the longest session when it is set: to find the button in them."""


def until(what, describe, seconds: float = PATIENCE):
    """Ask again and again until there is an answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, describe()
        time.sleep(0.5)
    return found


@pytest.fixture
def people(chromium, berth):
    """An administrator, and Alice at a desk and with a tablet."""
    three = [Person(chromium, berth, name) for name in ("admin", "alice", "alice")]
    yield three
    for person in three:
        person.close()


@pytest.mark.parametrize("berth", ["sqlite"], indirect=True)
def test_two_devices_the_longest_session_and_leaving(people, berth):
    admin, desk, tablet = people
    admin.sign_in()
    desk.sign_in()
    desk.page.wait_for_url("**/console/", wait_until="commit")
    desk.wait_for_screen()
    machine = desk.machine
    desktop = call(admin, "GET", f"/api/v1/desktops/{machine}/")
    rules = f"/api/v1/pools/{desktop['pool']['id']}/session-rules/"
    assert call(admin, "PATCH", rules, **LEAVING)["sentence"].endswith("your files in D: are kept.")
    until(lambda: call(admin, "GET", f"/api/v1/vms/{machine}/")["guest"].get("agent"), lambda: "no agent answers")

    # Another device: a question, then the screen is there and no longer here.
    tablet.sign_in()
    tablet.page.goto(f"{berth.url}/vms/{machine}/console/")
    tablet.page.get_by_role("button", name="Take it over").click(timeout=PATIENCE * 1000)
    tablet.wait_for_screen()
    desk.page.get_by_role("button", name="Take it back").wait_for(timeout=PATIENCE * 1000)

    # The end of the longest session is counted down, put off once, and comes.
    first = call(admin, "GET", f"/api/v1/sessions/?vm={machine}&ordering=opened_at")["results"][0]
    lasted = (datetime.now(UTC) - datetime.fromisoformat(first["opened_at"])).total_seconds()
    longest = {"longest": int(lasted) + REST, "warn_before": int(lasted) + REST - 1, "longest_do": "disconnect"}
    call(admin, "PATCH", rules, **longest, extension=5, extensions=1)
    tablet.page.get_by_role("button", name="Stay longer").click(timeout=PATIENCE * 1000)
    tablet.page.wait_for_selector("body[data-phase=ended]", timeout=PATIENCE * 1000)
    assert "time limit" in tablet.page.inner_text("#curtain")

    # Nobody is there now: the guest cannot be locked, and goes back instead.
    def holder():
        return call(admin, "GET", f"/api/v1/desktops/{machine}/")["holder"]

    until(lambda: holder() is None, lambda: events(admin))
    kinds = {row["kind"]: row["message"] for row in reversed(events(admin))}
    assert "could not be locked" in kinds["session.rule-failed"] and "given back" in kinds["session.rule-failed"]
    assert "session.extended" in kinds and "session.rule" in kinds
    sessions = call(admin, "GET", f"/api/v1/sessions/?vm={machine}")["results"]
    assert {row["close_reason"] for row in sessions} == {"replaced", "time-limit"}
    assert desk.errors == [] and tablet.errors == []


def events(admin: Person) -> list[dict]:
    return call(admin, "GET", "/api/v1/events/?page_size=100")["results"]
