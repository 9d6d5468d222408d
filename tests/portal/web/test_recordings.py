"""The pages of recordings: who sees, plays and deletes which, what is told beside, and that the list stays cheap."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import AsyncRequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.connections.models import Recording
from broker.connections.recording.files import path_of
from broker.connections.recording.film import ffmpeg
from broker.events.models import Event
from broker.events.record import record
from broker.settings import env
from portal.pieces import sent
from tests.recordings_help import coloured

LIST = "portal:recordings"


@pytest.fixture
def recording(site, tmp_path, monkeypatch):
    monkeypatch.setattr(env, "recordings_dir", tmp_path)
    monkeypatch.setattr(env, "data_dir", tmp_path)  # one video at a time is made, and tests run beside each other
    return coloured(site.desktop, site.world.alice)


def test_one_is_listed_for_its_person_and_played_only_by_right(site, recording):
    page = reverse("portal:recording", args=[recording.pk])
    for name, sees, plays in (("alice", True, 404), ("charlie", False, 404), ("root", True, 200)):
        shown = site.client(name).get(reverse(LIST)).text
        assert (recording.vm_name in shown, page in shown) == (sees, plays == 200), name
        assert site.client(name).get(page).status_code == plays, name
    site.world.grant(site.world.bob, "auditor")
    assert site.client("bob").get(page).status_code == 403
    assert page not in site.client("bob").get(reverse(LIST)).text
    assert not Event.objects.filter(kind="recording.viewed").exists(), "the page alone shows nothing"


def test_what_happened_meanwhile_is_told_to_whoever_may_read_events(site, recording):
    root = site.world.actor("root")
    for at, text in ((30, "within"), (3600, "long after")):
        record("vm.noted", actor=root, subject=site.desktop, message=text)
        Event.objects.filter(template=text).update(at=recording.began_at + timedelta(seconds=at))
    page = reverse("portal:recording", args=[recording.pk])
    shown = site.client("root").get(page).text
    assert "within" in shown and 'data-at="30000"' in shown and "long after" not in shown
    site.world.grant(site.world.bob, "recording-reader")
    assert "within" not in site.client("bob").get(page).text


def test_one_that_goes_on_is_not_offered_to_be_played(site, recording):
    Recording.objects.update(ended_at=None, why="")
    page = reverse("portal:recording", args=[recording.pk])
    client = site.client("root")
    assert page not in client.get(reverse(LIST)).text
    assert "recording-data" not in client.get(page).text
    client.post(reverse("portal:recording-delete", args=[recording.pk]))
    assert Recording.objects.exists()


def test_as_a_video_for_those_who_may_play_it_and_without_ffmpeg_it_says_what_is_missing(site, recording, monkeypatch):
    page, video = (reverse(f"portal:{name}", args=[recording.pk]) for name in ("recording", "recording-video"))
    assert video in site.client("root").get(page).text
    answer = site.client("root").get(video)
    assert (answer.status_code, answer["Content-Type"]) == (200, "video/webm")
    assert len(b"".join(answer.streaming_content)) > 100
    assert site.client("alice").get(video).status_code == 404
    site.world.grant(site.world.bob, "auditor")
    assert site.client("bob").get(video).status_code == 403
    assert Event.objects.filter(kind="recording.downloaded").count() == 1
    monkeypatch.setattr(ffmpeg, "kind", lambda: None)
    shown = site.client("root").get(page).text
    assert video not in shown and "the Debian package ffmpeg" in shown
    refusal = site.client("root").get(video)
    assert refusal.status_code == 503 and "Install the Debian package ffmpeg" in refusal.text


class Handed:
    """Three pieces, and whether they were closed."""

    def __init__(self):
        self.left, self.closed = [b"c", b"b", b"a"], False

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def close(self):
        self.closed = True


async def test_a_file_that_is_made_while_it_is_sent_goes_out_piece_by_piece():
    pieces = Handed()
    answer = sent(AsyncRequestFactory().get("/"), pieces, media_type="video/webm", name="x.webm")
    parts = aiter(answer)
    assert await anext(parts) == b"a"
    assert len(pieces.left) == 2
    assert [part async for part in parts] == [b"b", b"c"]
    for close in answer._resource_closers:  # what answer.close() does, without the end of a request
        close()
    assert pieces.closed


def test_deleting(site, recording, django_capture_on_commit_callbacks):
    address = reverse("portal:recording-delete", args=[recording.pk])
    assert site.client("alice").post(address).status_code == 404
    site.world.grant(site.world.bob, "recording-reader")
    assert site.client("bob").post(address).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        assert site.client("root").post(address).status_code == 302
    assert not Recording.objects.exists() and not path_of(recording.pk).exists()


def test_the_machines_page_leads_there(site, recording):
    machine = reverse("portal:vm", args=[site.desktop.pk])
    assert f"{reverse(LIST)}?q=desk-1" in site.client("root").get(machine).text
    assert reverse(LIST) not in site.client("alice").get(machine).text


def test_the_list_costs_the_same_at_any_length(site, recording):
    def cost() -> int:
        client = site.client("root")
        with CaptureQueriesContext(connection) as told:
            assert client.get(reverse(LIST)).status_code == 200
        return len(told)

    before = cost()
    for _more in range(3):
        coloured(site.server, site.world.bob)
    assert cost() == before
