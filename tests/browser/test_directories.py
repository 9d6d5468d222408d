"""Adding a directory as an administrator does it: typed, previewed against a real slapd, saved; by keyboard too."""

import pytest
from django.urls import reverse

from broker.directories.models import Directory
from tests.servers import slapd as servers

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def slapd():
    with servers.running() as server:
        erin, frank = server.person("erin"), server.person("frank")
        server.group("finance", erin, frank)
        yield server


def fill(page, slapd) -> None:
    config = slapd.config()
    page.fill("#id_name", "Example")
    page.fill("#id_servers", config["servers"][0])
    page.fill("#id_ca", config["ca"])
    page.fill("#id_bind_dn", config["bind_dn"])
    page.fill("#id_password", servers.READER_PASSWORD)
    page.fill("#id_user_base", config["user_base"])
    page.fill("#id_group_base", config["group_base"])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True])
def test_the_preview_is_read_before_it_is_saved(site, visit, slapd, theme, phone):
    page = visit("root", reverse("portal:directory-new", args=["ldap"]), theme=theme, phone=phone)
    page.locator("details summary").first.click()
    assert violations(page) == []
    page.locator("details summary").first.click()
    fill(page, slapd)
    page.fill("#id_try_user", "erin")
    page.focus("#id_try_user")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#preview .notice.good")
    found = page.inner_text("#preview")
    assert "frank" in found
    assert "finance" in found
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    # What was typed is still there, the password too: nothing was loaded anew.
    assert page.input_value("#id_password") == servers.READER_PASSWORD
    assert not Directory.objects.filter(name="Example").exists()
    page.press("form button.btn-primary:has-text('Add the directory')", "Enter")
    page.wait_for_url("**/manage/directories/*-*/")
    row = Directory.objects.get(name="Example")
    assert row.config["servers"] == [slapd.tls_url]
    page.goto(reverse("portal:directory-edit", args=[row.pk]))
    assert page.input_value("#id_password") == ""
    assert servers.READER_PASSWORD not in page.content()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_people_and_directories_fit_a_phone_and_are_accessible_there(site, visit, theme):
    Directory.objects.create(name="Example AD", kind="ldap", config={"flavour": "ad"}, sync_held=3)
    page = visit("root", "/", theme=theme, phone=True)
    world = site.world
    lists = [reverse(f"portal:{name}") for name in ("users", "groups", "directories", "user-new", "group-new")]
    ones = [reverse("portal:user", args=[world.bob.pk]), reverse("portal:group", args=[world.staff.pk])]
    ones.append(reverse("portal:directory", args=[Directory.objects.get(name="Example AD").pk]))
    for address in lists + ones:
        page.goto(address)
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} scrolls sideways"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_who_has_to_wait_is_told_so_and_keeps_the_name(site, visit, theme):
    page = visit("", reverse("portal:sign-in"), theme=theme)
    for _again in range(6):
        page.fill("#id_username", "alice")
        page.fill("#id_password", "wrong")
        page.click("button.btn-primary")
        page.wait_for_selector("[role=alert]")
    assert "Please wait" in page.inner_text("[role=alert]")
    assert page.input_value("#id_username") == "alice"
    assert violations(page) == []
