"""Events as a file, and the command that checks their chain."""

import asyncio
import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from broker.core import clock
from broker.events.models import Event
from broker.events.record import record
from broker.events.seal import seal


def body(response) -> str:
    async def whole():
        return b"".join([part async for part in response.streaming_content]).decode()

    return asyncio.run(whole())


@pytest.mark.django_db(transaction=True)
def test_events_come_as_a_file_of_what_one_may_see(site):
    """Row S17 of docs/machine-attacks.md, too: no cell is a formula."""
    root = site.world.actor("root")
    record("vm.noted", actor=root, subject=site.server, message="=1+1 %(name)s", name="ü", severity="warning")
    lines = body(site.client("root").get(reverse("portal:events-export", args=["jsonl"]))).splitlines()
    told = [json.loads(line) for line in lines]
    assert len(told) == Event.objects.count()
    assert [one["text"] for one in told if one["severity"] == "warning"] == ["=1+1 ü"]
    address = reverse("portal:events-export", args=["csv"])
    rows = list(csv.DictReader(io.StringIO(body(site.client("root").get(address, {"severity": "warning"})))))
    assert [row["text"] for row in rows] == ["'=1+1 ü"]
    theirs = body(site.client("charlie").get(reverse("portal:events-export", args=["jsonl"]))).splitlines()
    assert {json.loads(line)["actor"] for line in theirs} == {"charlie"}, "one's own sign-in, and nothing else"
    assert site.client("root").get(reverse("portal:events-export", args=["xml"])).status_code == 404
    assert site.client("").get(address).status_code == 302


def test_the_command_says_where_the_chain_breaks(site, capsys):
    Event.objects.update(at=clock.now() - timedelta(minutes=1))
    assert seal() > 0
    call_command("verifyevents")
    assert "as they were sealed" in capsys.readouterr().out
    Event.objects.filter(pk=Event.objects.order_by("pk").first().pk).update(actor_name="somebody else")
    with pytest.raises(CommandError, match="position 1"):
        call_command("verifyevents")
