"""How pages are made: no inline script or style, the live part alone for htmx, a constant number of queries."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.events.record import record
from broker.jobs.models import Job

from .test_access import FORMS, LISTS, pages_of

STYLE = re.compile(r"<[^>]+\sstyle\s*=|<style[\s>]", re.I)
HANDLER = re.compile(r"<[^>]+\son\w+\s*=", re.I)
SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<body>.*?)</script>", re.I | re.S)


def assert_strict(text: str) -> None:
    """Nothing that the page's own content security policy would refuse."""
    assert not STYLE.search(text), STYLE.search(text)
    assert not HANDLER.search(text), HANDLER.search(text)
    assert "javascript:" not in text
    for script in SCRIPT.finditer(text):
        if 'type="application/json"' not in script["attributes"]:
            assert "src=" in script["attributes"] and not script["body"].strip(), script[0][:200]


def test_no_page_has_inline_script_or_style_or_talks_elsewhere(site, settings):
    """Nor, S15, could a script of ours talk to another host."""
    ours = {"'self'", *(origin.replace("http", "ws", 1) for origin in settings.ORIGINS)}
    client = site.client("root")
    addresses = [reverse(f"portal:{name}") for name in LISTS + FORMS]
    addresses += [reverse(f"portal:{name}", args=[pk]) for name, pk in pages_of(site).items()]
    for address in addresses:
        response = client.get(address)
        assert_strict(response.content.decode())
        policy = response["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "style-src 'self'" in policy and "unsafe" not in policy
        assert set(policy.partition("connect-src ")[2].partition(";")[0].split()) == ours
    for who, address in (("", reverse("portal:sign-in")), ("alice", "/"), ("alice", "/nowhere")):
        assert_strict(site.client(who).get(address).content.decode())


@pytest.mark.parametrize("name", LISTS)
def test_htmx_gets_the_live_part_alone(site, name):
    response = site.client("root").get(reverse(f"portal:{name}"), headers={"HX-Request": "true"})
    text = response.content.decode()
    assert response.status_code == 200
    assert text.lstrip().startswith("<title>") and '<div id="live"' in text
    assert "<html" not in text and "main-nav" not in text
    assert "HX-Request" in response["Vary"]


def cost(client, address: str) -> int:
    client.get(address)  # the first request fills caches
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", LISTS)
def test_lists_cost_the_same_at_any_length(site, name):
    client, address = site.client("root"), reverse(f"portal:{name}")
    few = cost(client, address)
    grow(site, 12)
    assert cost(client, address) == few


def test_my_desktops_cost_the_same_at_any_number(site):
    client = site.client("alice")
    few = cost(client, "/")
    for number in range(20, 28):
        vm = site.machine(f"own-{number}")
        site.world.grant(site.world.alice, "vm-user", vm)
    assert cost(client, "/") == few
    assert few <= 16


def test_the_page_of_a_pool_costs_the_same_at_any_size(site):
    client, address = site.client("root"), reverse("portal:pool", args=[site.pool.pk])
    few = cost(client, address)
    for number in range(20, 30):
        site.seat(f"more-{number}", number, holder=site.world.bob if number % 2 else None)
    assert cost(client, address) == few


def grow(site, count: int) -> None:
    root = site.world.actor("root")
    for number in range(count):
        vm = site.seat(f"grown-{number}", 100 + number)
        Job.objects.create(
            plan="vm.start", title="Start a machine", subject_kind="vm", subject_id=vm.pk, subject_name=vm.name,
            actor_name="root", state="running",
        )  # fmt: skip
        record("vm.noted", actor=root, subject=vm, message="Noted")


def test_search_filter_and_order(site):
    client, address = site.client("root"), reverse("portal:vms")
    assert "secret-server" not in client.get(address, {"q": "desk-"}).content.decode()
    off = client.get(address, {"power": "off"}).content.decode()
    assert "Lab server" in off and "secret-server" not in off
    names = re.findall(r'class="title"[^>]*>([^<]+)<', client.get(address, {"order": "-name"}).content.decode())
    assert names == ["secret-server", "Lab server", "desk-2", "desk-1"]


@pytest.mark.parametrize(
    "query",
    [
        {"q": "x" * 10_000}, {"q": "a\0b"}, {"q": "'\"><script>alert(1)</script>"}, {"page": "-1"}, {"page": "99999"},
        {"page": "x"}, {"order": "password"}, {"order": "--name"}, {"power": "nonsense"}, {"host": "not-a-uuid"},
        {"q": "\u200b\u202e%(name)s"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["vms", "events", "jobs", "pools", "home"])
def test_strange_queries_get_a_page(site, name, query):
    response = site.client("root").get(reverse(f"portal:{name}"), query)
    assert response.status_code == 200
    assert "<script>alert" not in response.content.decode()


def test_markup_in_names_is_text(site):
    nasty = "<b>\"'&</b>"
    site.desktop.title = nasty
    site.desktop.save()
    site.pool.title = nasty
    site.pool.save()
    for who, address in (
        ("alice", "/"), ("alice", reverse("portal:vm", args=[site.desktop.pk])),
        ("root", reverse("portal:pool", args=[site.pool.pk])), ("root", reverse("portal:vms")),
        ("alice", reverse("portal:console", args=[site.desktop.pk])),
    ):  # fmt: skip
        text = site.client(who).get(address).content.decode()
        assert "<b>\"'&" not in text and "&lt;b&gt;" in text


def test_a_host_that_emulates_says_so(site):
    site.world.host.emulated, site.world.host.emulated_reason = True, "/dev/kvm is missing."
    site.world.host.save()
    client = site.client("root")
    for address in (reverse("portal:hosts"), reverse("portal:host", args=[site.world.host.pk])):
        assert "emulated in software" in client.get(address).content.decode()


def test_what_is_managed_of_a_machine_is_marked_as_management(site):
    def marked(who: str, name: str) -> list[str]:
        page = site.client(who).get(reverse(f"portal:{name}", args=[site.desktop.pk])).content.decode()
        return re.findall(r'<a href="(/[^"]*)"[^>]* aria-current="page"', page)

    manage, machines, home = (reverse(f"portal:{name}") for name in ("dashboard", "vms", "home"))
    for name in ("vm-disks", "vm-hardware", "vm-changes"):
        assert marked("root", name) == [manage, machines]
    assert marked("root", "vm") == [home] == marked("root", "console-ways")
