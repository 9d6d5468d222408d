"""Somebody signs in at a provider of SAML in a real browser: the button, the provider's own form and page, and back.

The provider is of another site (localhost, not 127.0.0.1), so the browser brings none of our cookies with its POST.
"""

import pytest
from django.urls import reverse

from broker.directories.kinds.saml import KIND, metadata
from broker.directories.models import Directory, ProviderAnswer, User
from portal.web.providers import back_addresses, entity_id
from tests.servers import idp as servers

from .test_pages import violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def idp():
    with servers.running(tls=False, name="localhost") as server:
        yield server


@pytest.mark.parametrize(("theme", "phone"), [("light", False), ("dark", True)])
def test_the_button_leads_there_and_back(site, visit, idp, theme, phone):
    metadata.forget()
    idp.reset()
    idp.person("erin", "staff")
    row = Directory.objects.create(
        name="Federated", kind="saml", secret=KIND.sealed(""), config=KIND.cleaned(idp.config())
    )
    idp.peer = KIND.metadata(row, back_addresses(row), entity_id(row))
    page = visit("", reverse("portal:account"), theme=theme, phone=phone)
    assert violations(page) == []
    posts = []
    page.on("request", lambda one: posts.append(one.all_headers()) if one.url.endswith("/post") else None)
    page.click("text=Sign in with Federated")
    page.wait_for_url("**/sso?*")
    page.fill("[name=username]", "erin")
    page.fill("[name=password]", servers.PASSWORD)
    page.click("button")
    page.wait_for_url("**/account/")
    assert "Erin" in page.inner_text("body")
    assert User.objects.get(username="erin").directory.name == "Federated"
    assert len(posts) == 1 and "sessionid" not in posts[0].get("cookie", ""), "the session came along from elsewhere"
    assert ProviderAnswer.objects.get().told == ""


def test_the_form_shows_what_it_yields(site, visit, idp):
    metadata.forget()
    idp.reset()
    page = visit("root", reverse("portal:directory-new", args=["saml"]))
    page.locator("details summary").first.click()
    assert violations(page) == []
    page.fill("#id_name", "Federated")
    page.fill("#id_metadata_url", idp.entity_id)
    page.check("#id_private")
    page.click("button[name=preview]")
    page.wait_for_selector("#preview .notice.good")
    assert idp.entity_id in page.inner_text("#preview")
    assert violations(page) == []
    page.click("form button.btn-primary:has-text('Add the directory')")
    page.wait_for_url("**/manage/directories/*-*/")
    assert "/metadata" in page.inner_text("main") and violations(page) == []
