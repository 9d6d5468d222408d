"""What one did and what became of one's desktops: one's own, and nothing of others."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.access.actor import Actor
from broker.events.models import Event
from broker.events.record import record
from broker.jobs.models import Job
from portal.web.views.activity import SHOWN

pytestmark = pytest.mark.django_db


def page(site, name, **query):
    return site.client(name).get(reverse("portal:activity"), query).content.decode()


def test_one_reads_ones_own_and_nobody_elses(site):
    world = site.world
    record("vm.tried", actor=world.actor("alice"), subject=site.granted, message="Alice tried something")
    record("vm.seen", actor=Actor.system("monitor"), subject=site.desktop, message="It was seen to run")
    record("vm.seen", actor=Actor.system("monitor"), subject=site.server, message="The server was seen")
    record("vm.tried", actor=world.actor("charlie"), subject=site.desktop, message="Charlie was here")
    record("portal.refused", actor=world.actor("alice"), message="POST /x was refused")
    Job.objects.create(
        plan="vm.start", title="Start", subject_kind="vm", subject_id=site.desktop.pk, subject_name="desk-1",
        actor_name="root", state="running", progress=40,
    )  # fmt: skip
    alice = page(site, "alice")
    assert "Alice tried something" in alice and "It was seen to run" in alice and "40 %" in alice
    for text in ("The server was seen", "Charlie was here", "POST /x", "secret-server"):
        assert text not in alice, text
    assert "Charlie was here" in page(site, "charlie") and "seen" not in page(site, "charlie")
    assert site.client("").get(reverse("portal:activity")).status_code == 302


def test_the_older_follow_and_the_number_of_queries_stays(site):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            page(site, "alice")
        return len(asked)

    before = queries()
    for number in range(SHOWN + 3):
        record("vm.tried", actor=site.world.actor("alice"), subject=site.desktop, message=f"Step {number:03} done")
    assert queries() == before
    first = page(site, "alice")
    assert f"Step {SHOWN + 2:03} done" in first and "Step 001 done" not in first
    last = Event.objects.get(template="Step 003 done").pk
    older = page(site, "alice", before=last)
    assert "Step 001 done" in older and "Step 003 done" not in older
    for strange in ("x'", "9" * 40, "-1", "\0"):
        assert "Step 050 done" in page(site, "alice", before=strange)
