"""Recordings from policy to deletion: who may do what, what is written down, and that there is no way around."""

import io
import json
import os
from datetime import timedelta

import pytest

from broker.access.models import Grant, Role
from broker.connections.actions import issue_ticket, set_console_policy
from broker.connections.actions.begin_recording import begin_recording
from broker.connections.actions.delete_recording import delete_recording
from broker.connections.actions.download_video import download_video
from broker.connections.actions.end_recording import end_recording
from broker.connections.actions.play_recording import play_recording
from broker.connections.models import Recording
from broker.connections.policy import policy_of, told
from broker.connections.recording.files import key_of, path_of
from broker.connections.recording.format import Damaged, Entry, Packer
from broker.connections.recording.replay import HANDSHAKE, blocks
from broker.connections.recording_duty import ORPHAN, tidy
from broker.connections.vv import viewer_file
from broker.core import clock
from broker.core.errors import Conflict, Denied, Missing
from broker.events.models import Event
from broker.gateway.desk import Presented, Refused
from broker.gateway.django_desk import DjangoDesk
from broker.settings import env
from broker.virt.serial import wire
from pools.models import Desktop
from tests.connections.conftest import GATEWAY
from tests.portal.api.conftest import make_pool  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "recordings_dir", tmp_path)
    return tmp_path


@pytest.fixture
def root(setting):
    return setting.world.actor("root")


@pytest.fixture
def recording(setting):
    """A finished one of alice, with its file."""
    row, key = begin_recording(actor=GATEWAY, session=setting.open())
    packer = Packer(row.pk, key)
    data = packer.header + packer.pack([Entry(5, b"picture")]) + packer.finish(9)
    path_of(row.pk).write_bytes(data)
    end_recording(actor=GATEWAY, recording=row.pk, why="finished", size=len(data))
    row.refresh_from_db()
    return row


def kinds() -> list[str]:
    return list(Event.objects.filter(kind__startswith="recording.").order_by("pk").values_list("kind", flat=True))


def test_the_policy_makes_the_gateway_record_and_its_key_is_sealed(setting, root, directory):
    set_console_policy(actor=root, obj=setting.vm, record=True)
    assert told(policy_of(setting.vm))
    redeem = DjangoDesk.redeem.__wrapped__  # without the closing of connections that threads need
    issued = issue_ticket(actor=setting.actor(), vm=setting.vm)
    assert issued.recorded
    tape = redeem(DjangoDesk("g1"), Presented(issued.secret, setting.key, "192.0.2.1")).tape
    row = Recording.objects.get()
    assert (tape.recording, tape.path, tape.key) == (row.pk, str(directory / f"{row.pk}.rec"), key_of(row))
    assert tape.key.hex() not in row.key
    set_console_policy(actor=root, obj=setting.vm, record=False)
    issued = issue_ticket(actor=setting.actor(), vm=setting.vm)
    assert not issued.recorded
    assert redeem(DjangoDesk("g1"), Presented(issued.secret, setting.key, "192.0.2.1")).tape is None


def test_who_was_not_told_is_not_recorded_but_asked_for_another_ticket(setting, root):
    redeem = DjangoDesk.redeem.__wrapped__
    early = issue_ticket(actor=setting.actor(), vm=setting.vm)
    set_console_policy(actor=root, obj=setting.vm, record=True)
    with pytest.raises(Refused) as info:
        redeem(DjangoDesk("g1"), Presented(early.secret, setting.key, "192.0.2.1"))
    assert info.value.closing.again, "the page asks anew by itself, and says so then"
    assert not Recording.objects.exists()
    again = issue_ticket(actor=setting.actor(), vm=setting.vm)
    assert again.recorded
    assert redeem(DjangoDesk("g1"), Presented(again.secret, setting.key, "192.0.2.1")).tape


def test_a_machines_own_policy_does_not_undo_its_pools(setting, root, make_pool):  # noqa: F811
    pool = make_pool("seats")
    Desktop.objects.create(vm=setting.vm, pool=pool, number=1)
    set_console_policy(actor=root, obj=pool, record=True)
    set_console_policy(actor=root, obj=setting.vm, record=False, clipboard="none")
    assert policy_of(setting.vm).record and policy_of(setting.vm).clipboard == "none"


def test_no_other_way_leads_around_a_recording(setting, root):
    spice = {"kind": "spice", "unix": "/run/one/spice.sock"}
    direct = {"kind": "vnc", "host": "192.0.2.9", "port": 5900}
    setting.vm.consoles = [*setting.vm.consoles, spice, direct]
    setting.vm.save()
    early = setting.ticket(kind="spice")
    assert "type=spice" in viewer_file(setting.actor(), setting.vm)
    set_console_policy(actor=root, obj=setting.vm, record=True)
    with pytest.raises(Conflict):
        issue_ticket(actor=setting.actor(), vm=setting.vm, kind="spice")
    with pytest.raises(Conflict):
        viewer_file(setting.actor(), setting.vm)
    desk = DjangoDesk("g1")
    with pytest.raises(Refused, match="unreachable"):
        DjangoDesk.redeem.__wrapped__(desk, Presented(early, setting.key, "192.0.2.1", "spice"))


@pytest.mark.parametrize("limit", [{"clipboard": "in"}, {"clipboard": "none"}, {"files": False}, {"speed": 100}])
def test_no_other_way_leads_around_a_limit(setting, root, limit):
    setting.vm.consoles = [*setting.vm.consoles, {"kind": "spice", "unix": "/run/one/spice.sock"}]
    setting.vm.save()
    early = setting.ticket(kind="spice")
    set_console_policy(actor=root, obj=setting.vm, **limit)
    with pytest.raises(Conflict) as refusal:
        issue_ticket(actor=setting.actor(), vm=setting.vm, kind="spice")
    assert refusal.value.rule == "console.policy"
    with pytest.raises(Conflict):
        viewer_file(setting.actor(), setting.vm)
    with pytest.raises(Refused, match="unreachable"):
        DjangoDesk.redeem.__wrapped__(DjangoDesk("g1"), Presented(early, setting.key, "192.0.2.1", "spice"))


def test_only_the_right_of_its_own_shows_and_deletes_and_each_view_is_an_event(setting, root, recording):
    for name in ("alice", "charlie"):  # alice uses the machine, and it is her screen
        with pytest.raises(Missing):
            play_recording(actor=setting.actor(name), recording=recording)
        with pytest.raises(Missing):
            delete_recording(actor=setting.actor(name), recording=recording)
        with pytest.raises(Denied):
            begin_recording(actor=setting.actor(name), session=setting.open(take_over=True))
        with pytest.raises(Denied):
            end_recording(actor=setting.actor(name), recording=recording.pk, why="failed", size=0)
    setting.world.grant(setting.world.bob, "auditor")
    with pytest.raises(Denied):
        play_recording(actor=setting.world.actor("bob"), recording=recording)
    setting.world.grant(setting.world.bob, "recording-reader")
    with pytest.raises(Denied):
        delete_recording(actor=setting.world.actor("bob"), recording=recording)
    shown = b"".join(play_recording(actor=setting.world.actor("bob"), recording=recording))
    assert shown.startswith(b"FBS 001.000\n" + len(HANDSHAKE).to_bytes(4, "big") + HANDSHAKE)
    assert b"\0\0\0\x07picture\0\0\0\0\x05" in shown
    assert kinds() == ["recording.began", "recording.ended", "recording.viewed"]


def test_a_changed_file_is_not_shown_as_if_it_were_whole(setting, root, recording):
    path = path_of(recording.pk)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged):
        list(play_recording(actor=root, recording=recording))
    end_early = list(blocks(io.BytesIO(path.read_bytes()), recording.pk, key_of(recording), whole=False))
    assert b"picture" in b"".join(end_early)


def test_one_that_goes_on_is_neither_shown_nor_deleted(setting, root):
    row, _ = begin_recording(actor=GATEWAY, session=setting.open())
    for refused in (play_recording, delete_recording):
        with pytest.raises(Conflict):
            refused(actor=root, recording=row)


def test_it_is_told_once_why_a_recording_ended_early(setting):
    row, _ = begin_recording(actor=GATEWAY, session=setting.open())
    assert end_recording(actor=GATEWAY, recording=row.pk, why="full", size=7)
    assert not end_recording(actor=GATEWAY, recording=row.pk, why="finished", size=9)
    event = Event.objects.get(kind="recording.ended")
    assert event.severity == "warning" and event.params["why"] == "full"


def test_without_room_the_console_opens_unrecorded_and_an_event_says_so(setting, recording, monkeypatch):
    monkeypatch.setattr(env, "recordings_gib", 0)
    assert begin_recording(actor=GATEWAY, session=setting.open(take_over=True)) is None
    assert kinds()[-1] == "recording.refused"


def test_deletion_and_the_duty_leave_no_file(setting, root, recording, directory, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert tidy() == 0
    assert path_of(recording.pk).exists()
    Recording.objects.update(ended_at=clock.now() - timedelta(days=env.recordings_days, hours=1))
    stray, fresh, foreign = (
        directory / f"{name}.rec"
        for name in ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", "notes")
    )
    for path in (stray, fresh, foreign):
        path.write_bytes(b"x")
    for path in (stray, foreign):
        os.utime(path, (0, path.stat().st_mtime - ORPHAN - 60))
    with django_capture_on_commit_callbacks(execute=True):
        assert tidy() == 1
    assert not path_of(recording.pk).exists() and not Recording.objects.exists()
    assert (stray.exists(), fresh.exists(), foreign.exists()) == (False, True, True)


def test_a_recording_whose_gateway_is_gone_ends_but_not_one_that_goes_on(setting):
    session = setting.open()
    row, _ = begin_recording(actor=GATEWAY, session=session)
    Recording.objects.update(began_at=clock.now() - timedelta(hours=1))
    tidy()
    row.refresh_from_db()
    assert row.ended_at is None
    type(session).objects.update(state="closed", closed_at=clock.now() - timedelta(minutes=5))
    tidy()
    row.refresh_from_db()
    assert row.why == "lost"


def test_a_recording_outlives_its_machine_and_user(setting, recording):
    setting.vm.delete()
    recording.refresh_from_db()
    assert recording.vm is None and str(recording) == f"{setting.world.alice} @ {recording.vm_name}"


def test_alice_sees_that_she_was_recorded_and_strangers_see_nothing(setting, recording):
    from broker.connections.recording.queries import visible_recordings

    assert list(visible_recordings(setting.actor("alice"))) == [recording]
    assert not visible_recordings(setting.actor("charlie")).exists()
    setting.world.grant(setting.world.bob, "recording-reader", setting.vm)
    assert list(visible_recordings(setting.world.actor("bob"))) == [recording]


def test_a_serial_line_is_recorded_by_the_same_policy_and_given_as_text(setting, root):
    """Never what was typed: only what the line wrote, whole characters of it, and nothing that is told of the line."""
    set_console_policy(actor=root, obj=setting.vm, record=True)
    role = Role.objects.create(name="console-hand", title="Console hand", verbs=["vm.view", "vm.serial"])
    Grant.objects.create(user=setting.world.alice, role=role, object_kind="vm", object_id=setting.vm.pk)
    issued = issue_ticket(actor=setting.actor(), vm=setting.vm, kind="serial")
    assert issued.recorded, "the page says so"
    redeem = DjangoDesk.redeem.__wrapped__
    tape = redeem(DjangoDesk("g1"), Presented(issued.secret, setting.key, "192.0.2.1")).tape
    row = Recording.objects.get()
    assert (row.kind, tape.recording) == ("serial", row.pk)
    text = wire.frame(wire.DATA, "login: é".encode())
    sent = text[:-1], text[-1:] + wire.status(writer="bob") + wire.frame(wire.DATA, b"\x1b[31m\r\n\xff")
    packer = Packer(row.pk, tape.key)
    data = packer.header + packer.pack([Entry(100 * at, part) for at, part in enumerate(sent)]) + packer.finish(900)
    path_of(row.pk).write_bytes(data)
    end_recording(actor=GATEWAY, recording=row.pk, why="finished", size=len(data))
    row.refresh_from_db()
    head, *lines = (json.loads(line) for line in b"".join(play_recording(actor=root, recording=row)).splitlines())
    assert (head["version"], head["width"]) == (2, 80)
    assert lines == [[0.1, "o", "login: é\x1b[31m\r\n\ufffd"], [0.9, "o", ""]]
    with pytest.raises(Conflict) as info:
        download_video(actor=root, recording=row)
    assert info.value.rule == "recording.video-serial"
    path_of(row.pk).write_bytes(data[:-1])
    with pytest.raises(Damaged):
        list(play_recording(actor=root, recording=row))

    # Set after the ticket was given: the page is made to ask once more, so that it can tell its reader.
    set_console_policy(actor=root, obj=setting.vm, record=False)
    early = issue_ticket(actor=setting.actor(), vm=setting.vm, kind="serial")
    set_console_policy(actor=root, obj=setting.vm, record=True)
    with pytest.raises(Refused) as refused:
        redeem(DjangoDesk("g1"), Presented(early.secret, setting.key, "192.0.2.1"))
    assert refused.value.closing.name == "ticket"
