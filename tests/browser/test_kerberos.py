"""Signing in with a Kerberos ticket as people do: in Chromium that holds one, and by curl, both against a real KDC."""

import json
import subprocess
from contextlib import contextmanager

import pytest
from django.urls import reverse

from broker.directories.kerberos import keytab as keytabs
from broker.directories.models import Directory, User
from broker.directories.secret import sealed
from tests.servers import kdc as kdcs
from tests.servers import slapd as servers

from .conftest import CHROMIUM, FLAGS
from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def slapd():
    with servers.running() as server:
        server.person("erin")
        yield server


@pytest.fixture(scope="module")
def kdc():
    with kdcs.running() as realm:
        realm.person("erin")
        realm.web = realm.keytab(kdcs.SERVICE)
        yield realm


@pytest.fixture
def directory(site, slapd, kdc, settings, tmp_path):
    settings.DATA_DIR = tmp_path

    def made(**changes) -> Directory:
        return Directory.objects.create(
            name="Site", kind="ldap", secret=sealed(servers.READER_PASSWORD),
            config=slapd.config(kerberos=True, kerberos_realms=[kdcs.REALM], **changes),
            keytab=keytabs.kept_for(kdc.web, "", service="", needed=True),
        )  # fmt: skip

    return made


@pytest.fixture
def opened(chromium, server):
    """Open a page in a Chromium of its own with this environment, which may show tickets to our address."""

    @contextmanager
    def browser(environment, address):
        flags = [*FLAGS, f"--auth-server-allowlist={kdcs.HOST}"]
        own = chromium.browser_type.launch(executable_path=CHROMIUM, args=flags, env=environment)
        try:
            page = own.new_context(base_url=server, locale="en-GB").new_page()
            page.goto(address)
            yield page
        finally:
            own.close()

    return browser


def test_who_holds_a_ticket_presses_the_button_and_is_in(directory, opened, kdc):
    directory()
    with opened(kdc.ticket("erin"), reverse("portal:account")) as page:
        assert violations(page) == []
        page.click("text=Sign in with Kerberos")
        page.wait_for_load_state()
        if page.locator("[role=alert]").count():  # Chromium's first time: now its Kerberos library is loaded
            page.click("text=Sign in with Kerberos")
        page.wait_for_url(lambda address: "sign-in" not in address)
        assert "Erin" in page.inner_text("main")
    assert User.objects.get(username="erin").directory.name == "Site"


def test_the_page_does_it_by_itself_where_that_is_set(directory, opened, kdc):
    directory(kerberos_silent=True)
    with opened(kdc.ticket("erin"), reverse("portal:account")) as page:
        page.wait_for_url(lambda address: "sign-in" not in address)
        page.locator("form[action$='sign-out']").first.evaluate("form => form.requestSubmit()")
        page.wait_for_url("**left=1")
        page.wait_for_timeout(500)
        assert "left=1" in page.url, "nobody is signed in again who has just signed out"


def test_without_a_ticket_the_form_stays_and_the_button_says_so(directory, opened, kdc):
    directory(kerberos_silent=True)
    with opened(kdc.environment, reverse("portal:sign-in")) as page:
        page.fill("#id_username", "erin")
        page.wait_for_timeout(500)
        assert page.input_value("#id_username") == "erin", "nothing was loaded anew"
        page.click("text=Sign in with Kerberos")
        page.wait_for_selector("[role=alert]")
        assert "showed no Kerberos ticket" in page.inner_text("[role=alert]")
        assert violations(page) == []
        page.fill("#id_username", "erin")
        page.fill("#id_password", "secret of theirs")
        page.click("button.btn-primary")
        page.wait_for_url(lambda address: "sign-in" not in address)


def test_curl_gets_a_session_which_the_api_takes(directory, server, kdc, tmp_path):
    row, jar = directory(), tmp_path / "jar"

    def curl(address, *more):
        command = ["curl", "--silent", "--show-error", "--cookie", jar, "--cookie-jar", jar, *more, server + address]
        done = subprocess.run(command, env=kdc.ticket("erin"), capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    curl(reverse("portal:sign-in"), "--output", "/dev/null")
    token = next(line.split()[-1] for line in jar.read_text().splitlines() if "csrftoken" in line)
    address = reverse("portal:kerberos", args=[row.pk])
    negotiate = ["--negotiate", "--user", ":", "--request", "POST", "--header", f"X-CSRFToken: {token}"]
    assert json.loads(curl(address, *negotiate, "--header", "Accept: application/json"))["next"]
    assert json.loads(curl("/api/v1/me/"))["username"] == "erin"
