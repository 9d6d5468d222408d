"""A morning: a directory is added with its preview, people of a group work, one changes devices, a new template
version rolls out under them, and one who is disabled in the directory is out within a minute.

The last is row F38.
"""

import subprocess
import time
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from tests.e2e.people import Person
from tests.e2e.test_consoles_end import call
from tests.servers import slapd

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE = 90
OUT_WITHIN = 60
"""Seconds from the change in the directory to the end of the console."""
LOCKED_FOR_GOOD = "000001010000Z"  # pwdAccountLockedTime, draft-behera-ldap-password-policy section 5.3.3
NAMES = ("anna", "ben")


@pytest.fixture(scope="module")
def directory():
    """A slapd with Anna and Ben in the group “desks”, and Cleo in none."""
    with slapd.running() as server:
        dns = {name: server.person(name, f"{name}'s own password") for name in (*NAMES, "cleo")}
        server.group("desks", *(dns[name] for name in NAMES))
        yield SimpleNamespace(server=server, dns=dns)


@pytest.fixture
def people(chromium, berth, directory):
    """`people(name)` → a browser for that person."""
    berth.passwords.update({name: f"{name}'s own password" for name in directory.dns})
    open_ones = []

    def person(name: str) -> Person:
        open_ones.append(Person(chromium, berth, name))
        return open_ones[-1]

    yield person
    for one in open_ones:
        one.close()


def until(question, what: str, seconds: float = PATIENCE):
    """Ask again and again until there is an answer."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return answer


def add_directory(admin: Person, server: slapd.Slapd) -> None:
    admin.go("/manage/directories/new/ldap")
    page = admin.page
    for field, text in {
        "name": "Head office", "servers": server.tls_url, "ca": server.ca, "bind_dn": slapd.READER_DN,
        "password": slapd.READER_PASSWORD, "user_base": slapd.PEOPLE, "group_base": slapd.GROUPS, "try_user": "anna",
    }.items():  # fmt: skip
        page.fill(f"[name={field}]", text)
    page.get_by_role("button", name="Preview").click()
    page.wait_for_selector("#preview >> text=answers and lets Berth in")
    told = page.inner_text("#preview")
    assert "anna@example.org" in told and "desks" in told and "cleo" in told
    assert not call(admin, "GET", "/api/v1/groups/?search=desks")["results"], "a preview must save nothing"
    page.locator("form[method=post] button.btn-primary").last.click()
    page.wait_for_url(lambda url: "/directories/" in url and "/new/" not in url, wait_until="commit")
    until(lambda: call(admin, "GET", "/api/v1/groups/?search=desks")["results"], "the directory is read")


def entitle(admin: Person, pool: str, group: str) -> None:
    admin.go(f"/manage/pools/{pool}/")
    admin.page.fill("#entitle-name", group)
    admin.page.get_by_role("button", name="Add", exact=True).click()
    admin.page.wait_for_selector(f".timeline >> text={group}")


def connect(person: Person) -> str:
    """Sign in, and be taken to the screen of the one pool's desktop; returns its machine."""
    person.sign_in()
    person.page.wait_for_url("**/console/", wait_until="commit")
    person.wait_for_screen()
    return person.machine


def backing(outside, machine: str) -> str:
    """The image below the machine's first disk, as its file says."""
    domain = ElementTree.fromstring(outside.connection.lookupByUUIDString(machine).XMLDesc())
    source = domain.find("devices/disk[@device='disk']/source").get("file")
    told = subprocess.run(
        ["qemu-img", "info", "-U", "-f", "qcow2", source], capture_output=True, text=True, check=True
    ).stdout
    return next(line for line in told.splitlines() if line.startswith("backing file:"))


@pytest.mark.parametrize("berth", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_morning(people, directory, outside):
    admin = people("admin")
    admin.sign_in()
    add_directory(admin, directory.server)
    pool = call(admin, "GET", "/api/v1/pools/")["results"][0]
    entitle(admin, pool["id"], "desks")

    # People sign in with the directory's passwords and work; who is in no group gets in and has nothing.
    anna, ben, cleo = people("anna"), people("ben"), people("cleo")
    hers, his = connect(anna), connect(ben)
    assert hers != his
    cleo.sign_in()
    cleo.page.wait_for_selector("main")
    assert "/console/" not in cleo.page.url

    # Anna leaves, and comes back on another device: the same desktop, asked for where it is still open.
    tablet = people("anna")
    tablet.sign_in()
    tablet.go(f"/vms/{hers}/console/")
    tablet.page.get_by_role("button", name="Take it over").click(timeout=PATIENCE * 1000)
    tablet.wait_for_screen()
    anna.page.get_by_role("button", name="Take it back").wait_for(timeout=PATIENCE * 1000)

    # A machine becomes the template's next version; the pool goes over to it under its people.
    before = backing(outside, hers)
    make_version(admin, pool)
    admin.go(f"/manage/pools/{pool['id']}/")
    admin.page.wait_for_selector("#rollout-head", timeout=PATIENCE * 1000)
    desktops = lambda: call(admin, "GET", f"/api/v1/desktops/?pool={pool['id']}")["results"]  # noqa: E731
    until(
        lambda: {row["id"] for row in desktops() if row["update"]} == {hers, his},
        "the desktops that nobody has are on the new version, and only those",
    )
    assert backing(outside, hers) == before

    # She is told, and takes it now: the same desktop, on the new image.
    tablet.page.wait_for_selector("#console-update button", state="attached", timeout=PATIENCE * 1000)
    tablet.page.get_by_role("button", name="Show the toolbar").click()
    tablet.page.get_by_role("button", name="An update waits").click()
    tablet.page.locator("#console-update form button").click()
    tablet.page.locator("#confirm [data-yes]").click()

    def renewed() -> bool:
        row = next(row for row in desktops() if row["id"] == hers)
        return row["update"] is None and row["job"] is None and row["power_state"] == "running"

    until(renewed, "hers is on the new version and runs")
    assert backing(outside, hers) != before
    tablet.wait_for_screen()

    # Ben is locked in the directory: his console ends, and he does not come in again.
    directory.server.change(directory.dns["ben"], pwdAccountLockedTime=LOCKED_FOR_GOOD)
    ben.page.wait_for_selector("body[data-phase^=ended], form input[name=password]", timeout=OUT_WITHIN * 1000)
    tablet.wait_for_screen()  # nobody else is thrown out; hers may just be coming back from its restart
    assert "/console/" in tablet.page.url
    again = people("ben")
    again.go("/sign-in")
    again.page.fill("input[name=username]", "ben")
    again.page.fill("input[name=password]", again.berth.passwords["ben"])
    again.page.keyboard.press("Enter")
    again.page.wait_for_selector("[role=alert]")
    assert "/sign-in" in again.page.url
    assert [person.errors for person in (admin, anna, ben, cleo, tablet)] == [[]] * 5
    assert "Traceback" not in admin.berth.text()


def make_version(admin: Person, pool: dict) -> None:
    """Through the pages: a machine from the template, and of it the next version."""
    query = f"/api/v1/template-versions/?template={pool['template']['id']}"
    newest = max(call(admin, "GET", query)["results"], key=lambda row: row["number"])
    call(
        admin, "POST", "/api/v1/vms/", name="master", version=newest["id"], storage=newest["storage"]["id"], start=False
    )
    ready = until(
        lambda: [
            row for row in call(admin, "GET", "/api/v1/vms/?search=master")["results"]
            if row["name"] == "master" and row["state"] == "ready" and not row["job"]
        ],
        "the machine is made",
    )  # fmt: skip
    admin.go(f"/vms/{ready[0]['id']}/make-version")
    admin.page.fill("[name=notes]", "November")
    admin.page.locator("form[method=post] button.btn-primary").last.click()
    admin.page.wait_for_url("**/manage/templates/**", wait_until="commit")

    def there() -> bool:
        versions = call(admin, "GET", query)["results"]
        return any(row["number"] > newest["number"] and row["state"] == "ready" for row in versions)

    until(there, "the version is made")
