"""Signing out at a provider of OpenID Connect as well: where the browser is led; whatever happens, it is out here."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from broker.directories.kinds.oidc import provider as remembered
from broker.directories.models import Directory

from .test_oidc import enter

OUT = "portal:sign-out"


@pytest.fixture
def there(provider):
    provider.more["discovery"] = {"end_session_endpoint": f"{provider.issuer}/logout?ui=1"}
    return provider


def test_the_browser_is_led_there_with_the_token_and_is_signed_out_here(there, make, settings):
    client, _done = enter(there, make(sign_out_there=True))
    answer = client.post(reverse(OUT))
    assert answer.status_code == 200 and SESSION_KEY not in client.session
    assert client.get("/account/").status_code == 302
    refresh = answer["Refresh"].removeprefix("0; url=")
    address, asked = urlsplit(refresh), parse_qs(urlsplit(refresh).query)
    assert refresh.startswith(f"{there.issuer}/logout?") and asked["ui"] == ["1"], address
    assert asked["post_logout_redirect_uri"] == [settings.ORIGINS[0] + reverse("portal:sign-in") + "?left=1"]
    assert asked["client_id"] == [there.config()["client_id"]] and asked["id_token_hint"][0].count(".") == 2
    page = answer.content.decode()
    assert "Corporate" in page and "id_token_hint" in page and "no-store" in answer["Cache-Control"]
    assert "id_token_hint" not in Client().get(reverse("portal:sign-in")).content.decode()


def test_it_is_off_unless_it_is_asked_for(there, make):
    client, _done = enter(there, make())
    assert "word_of_provider" not in client.session
    assert client.post(reverse(OUT)).status_code == 302


@pytest.mark.parametrize("end", [None, 7, "javascript:alert(1)", "http://evil.example/out", "https://a@evil.example"])
def test_an_address_that_is_none_is_not_used(there, make, end):
    there.more["discovery"] = {"end_session_endpoint": end}
    client, _done = enter(there, make(sign_out_there=True))
    assert client.post(reverse(OUT)).status_code == 302 and SESSION_KEY not in client.session


def test_a_provider_that_is_down_keeps_nobody_signed_in(there, make):
    client, _done = enter(there, make(sign_out_there=True))
    remembered.forget()
    there.faults.add("error /.well-known/openid-configuration")
    assert client.post(reverse(OUT)).status_code == 302 and SESSION_KEY not in client.session


def test_a_token_that_is_too_long_is_not_sent(there, make):
    there.more["padding"] = "x" * 9000
    client, _done = enter(there, make(sign_out_there=True))
    answer = client.post(reverse(OUT))
    assert "id_token_hint" not in answer["Refresh"] and "client_id" in answer["Refresh"]


def test_local_people_just_sign_out(there, make, world):
    make(sign_out_there=True)
    client = Client()
    client.force_login(world.alice)
    assert client.post(reverse(OUT)).status_code == 302


def test_the_page_of_the_directory_says_what_to_register(there, make, world, settings):
    directory = make(sign_out_there=True)
    root = Client()
    root.force_login(world.root)
    page = reverse("portal:directory", args=[directory.pk])
    told = f"yes, and back to {settings.ORIGINS[0]}{reverse('portal:sign-in')}"
    assert told in root.get(page).content.decode()
    Directory.objects.filter(pk=directory.pk).update(config=there.config())
    assert told not in root.get(page).content.decode()
