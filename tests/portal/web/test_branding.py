"""A site's own name, logo and notice on the pages, and what becomes of a logo that is none."""

import re

import pytest
from django.core.management import call_command
from django.template import engines

from portal import branding

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def site(settings, tmp_path):
    """Has the pages made anew with these settings; as they were afterwards."""

    def made(**values):
        for name, value in values.items():
            setattr(settings, name, value)
        _forget()

    yield made
    _forget()


def _forget():
    branding.logo.cache_clear()
    for loader in engines["django"].engine.template_loaders:
        loader.reset()


def test_the_pages_bear_the_site_s_name(site, client, db):
    site(SITE_NAME="Harbour <b> & Sons")
    page = client.get("/sign-in").content.decode()
    assert "<title>Sign in · Harbour &lt;b&gt; &amp; Sons</title>" in page
    assert "<h1>Sign in to Harbour &lt;b&gt; &amp; Sons</h1>" in page and "Berth</" not in page


def test_a_notice_is_read_before_signing_in_and_is_no_markup(site, client, db):
    assert 'role="note"' not in client.get("/sign-in").content.decode()
    site(SIGN_IN_NOTICE="For staff only.\n\n<script>x</script> is logged.\n \n")
    page = client.get("/sign-in").content.decode()
    assert "<p>For staff only.</p><p>&lt;script&gt;x&lt;/script&gt; is logged.</p>" in page


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.svg", SVG, "image/svg+xml"),
        ("a", PNG, "image/png"),
        ("b.png", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_a_logo_is_shown_and_can_do_nothing(site, client, db, tmp_path, name, data, kind):
    (path := tmp_path / name).write_bytes(data)
    site(SITE_LOGO=path)
    assert branding.check() == []
    address = re.search(r'<img class="logo" src="([^"]+)"', client.get("/sign-in").content.decode())[1]
    answer = client.get(address)
    assert (answer.content, answer["Content-Type"]) == (data, kind)
    assert "immutable" in answer["Cache-Control"] and answer["X-Content-Type-Options"] == "nosniff"
    policy = answer["Content-Security-Policy"]
    assert policy.endswith("sandbox") and "script-src" not in policy
    assert client.get("/site-logo?old")["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<html>", PNG + bytes(branding.LARGEST_LOGO), None])
def test_what_is_no_logo_is_complained_of_and_berth_s_own_is_shown(site, client, db, tmp_path, capsys, data):
    if data is not None:
        (tmp_path / "logo").write_bytes(data)
    site(SITE_LOGO=tmp_path / "logo")
    call_command("check")
    assert "portal.W001" in capsys.readouterr().err
    page = client.get("/sign-in").content.decode()
    assert '<svg class="logo"' in page and "<img" not in page
    assert client.get("/site-logo").status_code == 404
