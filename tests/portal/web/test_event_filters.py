"""Events by time, actor, kind and object, on the page and in files; and the page of the chain."""

import asyncio
import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from broker.core import clock
from broker.events.models import ChainCheck, Event
from broker.events.record import record


def lines(response):
    async def whole():
        return b"".join([part async for part in response.streaming_content]).decode()

    return [json.loads(line)["text"] for line in asyncio.run(whole()).splitlines()]


@pytest.mark.django_db(transaction=True)
def test_the_page_and_the_file_have_the_same_filters(site):
    root, alice = site.world.actor("root"), site.world.actor("alice")
    Event.objects.all().delete()
    record("vm.started", actor=root, subject=site.server, message="old")
    Event.objects.update(at=clock.now() - timedelta(days=3))
    record("vm.stopped", actor=alice, subject=site.server, message="new")
    record("host.lost", actor=root, subject=site.world.host, message="host")
    moment = timezone.localtime(clock.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    client = site.client("root")
    Event.objects.filter(kind__startswith="portal").delete()
    for query, texts in (
        ({"since": moment}, ["new", "host"]),
        ({"until": moment}, ["old"]),
        ({"by": "ALICE"}, ["new"]),
        ({"kind": "vm.*"}, ["old", "new"]),
        ({"kind": "vm.started"}, ["old"]),
        ({"object": str(site.world.host.pk)}, ["host"]),
        ({"object": site.server.name, "since": moment}, ["new"]),
    ):
        page = client.get(reverse("portal:events"), query)
        shown = [row["text"] for row in page.context["rows"] if row["text"] in ("old", "new", "host")]
        assert sorted(shown) == sorted(texts), query
        told = [text for text in lines(client.get(reverse("portal:events-export", args=["jsonl"]), query))]
        assert [text for text in told if text in ("old", "new", "host")] == texts, query
    for hostile in ({"since": "yesterday"}, {"until": "9999-99-99T99:99"}, {"by": "\0"}, {"object": "%" * 500}):
        assert client.get(reverse("portal:events"), hostile).status_code == 200


def test_the_page_of_the_chain(site):
    client, page = site.client("root"), reverse("portal:events-chain")
    assert "Not verified yet" in client.get(page).content.decode()
    client.post(reverse("portal:events-verify"))
    assert "Being verified" in client.get(page).content.decode()
    ChainCheck.objects.update(
        asked=False, ended_at=clock.now(), problem="changed", position=6, wrong_id=8, wrong_kind="x"
    )
    assert "After position 6" in client.get(page).content.decode()
    assert client.get("/api/v1/events/chain/").json()["problem"] == "changed"
    assert site.client("alice").get(page).status_code == 403
