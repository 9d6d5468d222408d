"""Somebody signs in at a provider in a real browser: the button, the provider's own form, and back."""

import pytest
from django.urls import reverse

from broker.directories.kinds.oidc import provider as remembered
from broker.directories.models import Directory, User
from broker.directories.secret import sealed
from tests.servers import provider as servers

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def provider():
    with servers.running(tls=False) as server:
        yield server


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", False), ("dark", True)])
def test_the_button_leads_there_and_back(site, visit, provider, theme, phone):
    remembered.forget()
    provider.reset()
    provider.person("erin", "staff")
    Directory.objects.create(name="Corporate", kind="oidc", secret=sealed(servers.SECRET), config=provider.config())
    page = visit("", reverse("portal:account"), theme=theme, phone=phone)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    page.click("text=Sign in with Corporate")
    page.wait_for_url("**/authorize?*")
    page.fill("[name=username]", "erin")
    page.fill("[name=password]", servers.PASSWORD)
    page.click("button")
    page.wait_for_url("**/account/")
    assert "Erin" in page.inner_text("body")
    assert User.objects.get(username="erin").directory.name == "Corporate"


def test_the_form_shows_what_it_yields(site, visit, provider):
    remembered.forget()
    provider.reset()
    page = visit("root", reverse("portal:directory-new", args=["oidc"]))
    page.locator("details summary").first.click()
    assert violations(page) == []
    page.fill("#id_name", "Corporate")
    page.fill("#id_issuer", provider.issuer)
    page.fill("#id_client_id", servers.CLIENT)
    page.fill("#id_password", servers.SECRET)
    page.check("#id_private")
    page.click("button[name=preview]")
    page.wait_for_selector("#preview .notice.good")
    assert provider.issuer in page.inner_text("#preview")
    assert violations(page) == []
    page.click("form button.btn-primary:has-text('Add the directory')")
    page.wait_for_url("**/manage/directories/*-*/")
    assert "/back" in page.inner_text("main")


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_signing_out_goes_on_to_the_provider(site, visit, provider, theme, phone):
    remembered.forget()
    provider.reset()
    provider.person("erin")
    provider.more["discovery"] = {"end_session_endpoint": f"{provider.issuer}/logout"}
    config = provider.config(sign_out_there=True)
    Directory.objects.create(name="Corporate", kind="oidc", secret=sealed(servers.SECRET), config=config)
    page = visit("", reverse("portal:account"), theme=theme, phone=phone)
    page.click("text=Sign in with Corporate")
    page.wait_for_url("**/authorize?*")
    page.fill("[name=username]", "erin")
    page.fill("[name=password]", servers.PASSWORD)
    page.click("button")
    page.wait_for_url("**/account/")
    page.evaluate("document.querySelector('form[action$=\"sign-out\"]').requestSubmit()")
    page.wait_for_url("**/logout?*")
    assert "id_token_hint=" in page.url and "post_logout_redirect_uri=" in page.url
    page.goto(reverse("portal:account"))
    assert "Sign in with Corporate" in page.inner_text("body"), "nobody is signed in here"
