"""Every kind of refusal at every door: the same rule, cause and way out in the page, the API and the event, with each
thing that was looked at and the rule it failed."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.utils.html import escape

from broker.access.actor import Actor
from broker.core.errors import NoCapacity
from broker.events.models import Event
from broker.jobs import runner
from broker.jobs.models import Job
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Host, Network, Nic, VirtualMachine
from pools.models import Desktop, Pool
from tests.jobs_help import run_all
from tests.portal.web.conftest import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(world, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return build(world)


@dataclass(frozen=True)
class Case:
    """`page` and `call` are addresses over the ids of `what`; `looked` is what must have been looked at, by rule."""

    what: Callable
    page: str
    call: str
    rule: str
    looked: Callable
    form: dict | None = None
    method: str = "POST"
    body: dict | None = None
    who: str = "root"


def taken(site):
    Desktop.objects.filter(pool=site.pool, holder=None).update(state="assigned", holder=site.world.charlie)
    Pool.objects.filter(pk=site.pool.pk).update(kind="manual", size=2)
    return site.pool


def protected(site):
    VirtualMachine.objects.filter(pk=site.granted.pk).update(protected=True)
    return site.granted


def protected_pool(site):
    Pool.objects.filter(pk=site.pool.pk).update(protected=True)
    return site.pool


def on_a_bridge(site):
    network = Network.objects.create(cluster=site.world.cluster, name="lan", kind="bridge", bridge="br0")
    Nic.objects.filter(vm__in=[site.server, site.free]).update(network=network)
    return network


CASES = {
    "allocate: none is free": Case(
        taken, "/pools/{}/take", "pools/{}/take/", "pool.free",
        lambda site: {("desk-1", "desktop.assigned"), ("desk-2", "desktop.assigned")},
    ),
    "start: a job works on it": Case(
        lambda site: site.server, "/vms/{}/power/shutdown", "vms/{}/shutdown/", "job.active",
        lambda site: {(str(site.job), "job.active")},
    ),
    "start: it runs": Case(
        lambda site: site.free, "/vms/{}/power/start", "vms/{}/start/", "power.state",
        lambda site: {("desk-2", "power.state")},
    ),
    "connect: it is off": Case(
        lambda site: site.granted, "/vms/{}/console/ticket", "vms/{}/console-ticket/", "power.running",
        lambda site: {("lab", "power.running")},
    ),
    "connect: another's screen": Case(
        lambda site: site.desktop, "/vms/{}/console/ticket", "vms/{}/console-ticket/", "console.consent",
        lambda site: {("desk-1", "console.consent")},
    ),
    "connect: with Remote Viewer": Case(
        lambda site: site.granted, "/vms/{}/console/viewer-file", "vms/{}/viewer-file/", "power.running",
        lambda site: {("lab", "power.running")},
    ),
    "delete: a pool in use": Case(
        lambda site: site.pool, "/manage/pools/{}/delete", "pools/{}/", "desktop.in-use",
        lambda site: {("desk-1", "desktop.in-use")}, method="DELETE",
    ),
    "delete: a protected pool": Case(
        protected_pool, "/manage/pools/{}/delete", "pools/{}/", "pool.protected",
        lambda site: {("Desk pool", "pool.protected")}, method="DELETE",
    ),
    "delete: a protected machine": Case(
        protected, "/vms/{}/delete", "vms/{}/", "vm.protected", lambda site: {("lab", "vm.protected")},
        method="DELETE", form={"confirm": "lab"},
    ),
    "delete: a host in service": Case(
        lambda site: site.world.host, "/manage/hosts/{}/delete", "hosts/{}/", "host.maintenance",
        lambda site: {("host-1", "host.maintenance")}, method="DELETE",
    ),
    "delete: a version in use": Case(
        lambda site: site.world.version, "/manage/template-versions/{}/delete", "template-versions/{}/",
        "version.in-use", lambda site: {(name, "version.in-use") for name in ("desk-1", "desk-2", "lab")},
        method="DELETE",
    ),
    "change: a network under running machines": Case(
        on_a_bridge, "/manage/networks/{}/edit", "networks/{}/", "network.quiet",
        lambda site: {("secret-server", "network.quiet"), ("desk-2", "network.quiet")},
        method="PATCH", body={"bridge": "br1"}, form={"name": "lan", "bridge": "br1", "guard": "addresses"},
    ),
    "change: what one may only use": Case(
        lambda site: site.pool, "", "pools/{}/", "access.right", lambda site: {("Desk pool", "access.right")},
        method="PATCH", body={"size": 9}, who="alice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_page_api_and_event_say_the_same(site, name):
    case = CASES[name]
    row = case.what(site)
    Event.objects.all().delete()
    client = site.client(case.who)
    answer = client.generic(
        case.method, f"/api/v1/{case.call.format(row.pk)}", json.dumps(case.body) if case.body else b"",
        content_type="application/json",
    )  # fmt: skip
    assert 400 <= answer.status_code < 600 and answer["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    looked = case.looked(site)
    assert problem["rule"] == case.rule and problem["detail"] and problem["fix"], problem
    assert {(one["name"], one["rule"]) for one in problem["looked_at"]} >= looked
    assert problem["looked_at"] or case.who != "root"
    events = [event.explanation for event in Event.objects.exclude(explanation=None)]
    assert [one for one in events if one["rule"] == case.rule and not looked - subjects(one)], events
    if not case.page:
        return
    Event.objects.all().delete()
    json_too = {"content_type": "application/json"} if case.page.endswith("ticket") else {}
    told = client.post(case.page.format(row.pk), case.form or {}, headers={"Accept": "text/html"}, **json_too)
    page = told.content.decode()
    assert 400 <= told.status_code < 600
    as_json = told["Content-Type"].startswith("application/json")
    said = json.loads(page) if as_json else {}
    shown = " ".join([said["message"], said["fix"], said["rule"], *said["why"]]) if as_json else page
    written = str if as_json else escape
    for text in (problem["detail"], problem["fix"], case.rule, *(name for name, _ in looked)):
        assert written(text) in shown, text
    events = [event.explanation for event in Event.objects.exclude(explanation=None)]
    assert [one for one in events if one["rule"] == case.rule], "the page's refusal is an event too"


def subjects(stored):
    return {(one["subject"], one["rule"]) for one in stored["reasons"]}


def test_a_start_that_finds_no_host_names_each_host_in_job_api_and_event(site, monkeypatch):
    """It is refused later, by the job; what was looked at is kept with it."""
    world = site.world
    Job.objects.all().delete()
    VirtualMachine.objects.filter(pk=site.granted.pk).update(host=None)
    Host.objects.filter(pk=world.host.pk).update(memory_free_bytes=1024)
    Host.objects.create(cluster=world.cluster, name="host-2", uri="sim://host-2", driver="simulated", error="silent")
    monkeypatch.setattr(runner.Attempt, "_patient", lambda attempt: False)  # it would be tried for a minute
    job = start_vm(actor=Actor.for_user(world.root), vm=VirtualMachine.objects.get(pk=site.granted.pk))
    run_all()
    job.refresh_from_db()
    expected = {("host-1", "memory"), ("host-2", "reachable")}
    assert job.state == "failed" and job.error["rule"] == "placement.host" and expected <= subjects(job.error)
    event = Event.objects.get(kind="job.failed")
    assert expected <= subjects(event.explanation)
    client = site.client("root")
    told = client.get(f"/api/v1/jobs/{job.pk}/").json()
    assert {(one["name"], one["rule"]) for one in told["why"]["looked_at"]} >= expected
    page = client.get(f"/manage/jobs/{job.pk}/").content.decode()
    assert "host-1" in page and "host-2" in page and "placement.host" in page


def test_what_a_page_asks_for_again_and_again_is_one_event(site):
    for _ in range(3):
        site.client("bob").post(f"/vms/{site.granted.pk}/console/ticket")
    assert Event.objects.filter(kind="portal.refused").count() == 1


def test_one_row_is_the_only_thing_looked_at():
    class Row:
        access_kind, pk = "vm", 7

        def __str__(self):
            return "desk"

    error = NoCapacity("%(name)s is full", rule="full", about=Row(), name="desk")
    assert [(one.subject, one.kind, one.id, one.message) for one in error.reasons] == [
        ("desk", "vm", "7", "desk is full")
    ]
