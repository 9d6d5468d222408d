"""Why something was refused, at every door, and what of it each reader is told."""

import json

import pytest
from django.urls import reverse

from broker.access.actor import Actor
from broker.core.errors import NoCapacity, Reason
from broker.events.models import Event
from broker.events.record import record
from broker.virt.models import Host, VirtualMachine
from pools.models import Desktop, Pool
from portal.why import Sight, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def full(site):
    """A pool in which Alice has one desktop for good, Charlie the other, and Bob wants one."""
    site.world.grant(site.world.bob, "pool-user", site.pool)
    Desktop.objects.filter(pool=site.pool, holder=None).update(state="assigned", holder=site.world.charlie)
    Pool.objects.filter(pk=site.pool.pk).update(kind="manual", size=2)  # so that nobody waits for what stays taken
    return site


def take(site, name, **headers):
    return site.client(name).post(reverse("portal:pool-take", args=[site.pool.pk]), headers=headers)


def test_a_user_is_told_how_many_and_nobodys_name(full):
    page = take(full, "bob").content.decode()
    assert "pool.free" in page
    assert "in use" in page
    assert "charlie" not in page.lower()
    assert full.free.name not in page


def test_the_message_of_a_button_carries_it_too(full):
    answer = take(full, "bob", HX_Request="true")
    told_there = json.loads(answer["HX-Trigger"])["berth:toast"]
    assert answer.status_code == 503
    assert any("in use" in line for line in told_there["why"])
    assert "charlie" not in answer["HX-Trigger"].lower()


def test_the_event_has_all_of_it_for_who_may_see(full):
    take(full, "bob")
    event = Event.objects.get(kind="pool.exhausted")
    assert event.explanation["rule"] == "pool.free"
    assert {reason["params"].get("user") for reason in event.explanation["reasons"]} >= {"alice", "charlie"}
    page = full.client("root").get(reverse("portal:events")).content.decode()
    assert "charlie has it" in page
    detail = full.client("root").get(f"/api/v1/events/{event.pk}/").json()
    assert "charlie has it" in {one["detail"] for one in detail["why"]["looked_at"]}


def test_the_api_says_it_in_the_problem_document(full):
    problem = full.client("bob").post(f"/api/v1/pools/{full.pool.pk}/take/", content_type="application/json").json()
    assert problem.get("rule") == "pool.free", problem
    assert problem["looked_at"] == []
    assert sum(one["count"] for one in problem["counts"] if one["rule"] == "desktop.assigned") == 2
    assert problem["helps"]


def test_a_start_that_found_no_host_is_explained_by_what_the_reader_may_see(site):
    vm = site.desktop
    reason = Reason("host-1", "memory", "%(free)s MiB left", words="too little memory left", free=3)
    refused = NoCapacity(
        "No host.", fix="Wait.", rule="placement.host", reasons=[reason.about("host", site.world.host.pk)]
    )
    site.job.__class__.objects.filter(pk=site.job.pk).update(
        subject_kind="vm", subject_id=vm.pk, state="failed", outcome="failed", error=refused.as_dict()
    )
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", host=None)
    admin = site.client("root").get(reverse("portal:job", args=[site.job.pk])).content.decode()
    assert "3 MiB left" in admin
    alice = site.client("alice").get(reverse("portal:console", args=[vm.pk])).content.decode()
    assert "1 host: too little memory left" in alice
    assert "host-1" not in alice


def test_the_name_of_a_host_in_a_sentence_is_for_who_may_see_hosts(site):
    stored = {"message": "%(host)s does not answer (%(error)s).", "params": {"host": "host-1", "error": "qemu+tls://x"}}
    assert told(site.world.actor("alice"), stored)[0] == "a host does not answer (…)."
    assert told(site.world.actor("root"), stored)[0] == "host-1 does not answer (qemu+tls://x)."


def test_events_of_others_are_not_told_to_users_nor_the_names_of_hosts(site):
    world, vm = site.world, site.desktop
    record("desktop.allocated", actor=world.actor("charlie"), subject=vm, message="%(user)s got it", user="charlie")
    record("vm.started", actor=world.actor("alice"), subject=vm, message="It was started on %(host)s", host="host-1")
    record("vm.seen", actor=Actor.system("monitor"), subject=vm, message="%(user)s left", user="charlie")
    alice = site.client("alice").get(reverse("portal:vm", args=[vm.pk])).content.decode()
    assert "It was started on a host" in alice
    assert "somebody left" in alice
    assert "charlie" not in alice and "host-1" not in alice
    told_there = site.client("alice").get("/api/v1/events/").json()["results"]
    assert "It was started on a host" in {row["message"] for row in told_there}
    root = site.client("root").get(reverse("portal:vm", args=[vm.pk])).content.decode()
    assert "charlie got it" in root and "started on host-1" in root


def test_many_explanations_cost_a_query_for_each_kind(site, django_assert_num_queries):
    hosts = [
        Host.objects.create(cluster=site.world.cluster, name=f"h{number}", driver="simulated", uri=f"sim://h{number}")
        for number in range(30)
    ]
    stored = [
        NoCapacity("no", fix="x", reasons=[Reason(host.name, "memory", "m", kind="host", id=host.pk)]).as_dict()
        for host in hosts
    ]
    root = site.world.actor("root")
    root.grants()
    with django_assert_num_queries(1):
        sight = Sight(root, stored)
        assert all(sight.why(one).looked_at for one in stored)


def test_a_form_shows_why_as_well(site):
    site.pool.refresh_from_db()
    client = site.client("root")
    answer = client.post(reverse("portal:pool-delete", args=[site.pool.pk]))
    assert answer.status_code == 409
    assert "alice has it" in answer.content.decode()
