"""Uploads over the API: in pieces, in order, never more than announced, gone when nobody goes on with them."""

import hashlib
import os
from contextlib import contextmanager
from datetime import timedelta

import pytest

from broker.core import clock
from broker.jobs.models import Job
from broker.virt import cloud_init, image_duty, sums, uploads
from broker.virt.models import Image, ImageSource, StorageDomain, VirtualMachine
from tests.jobs_help import run_all
from tests.virt.actions.stage import Stage


@pytest.fixture
def root(caller, tmp_path, settings):
    settings.DATA_DIR = tmp_path
    return caller("root")


@pytest.fixture
def world(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage().world


@pytest.fixture
def begun(root, world):
    wish = {"name": "debian", "kind": "iso", "storage": str(world.storage.pk), "size_bytes": 2048}
    answer = root.post("images/", wish)
    assert answer.status_code == 201, answer.content
    return Image.objects.get(pk=answer.json()["id"])


def send(who, image, piece, offset, content_type="application/octet-stream"):
    return who.client.put(
        f"/api/v1/images/{image.pk}/data/", piece, content_type=content_type, headers={"Upload-Offset": str(offset)}
    )


def test_pieces_arrive_in_order_and_are_gone_on_with(root, begun):
    assert send(root, begun, b"a" * 1500, 0).json()["received_bytes"] == 1500
    again = send(root, begun, b"a" * 1500, 0)
    assert again.status_code == 409 and "1500" in again.json()["detail"]
    assert root.post(f"images/{begun.pk}/finish/").status_code == 409
    assert send(root, begun, b"b" * 600, 1500).status_code == 400  # more than announced
    assert send(root, begun, b"b" * 548, 1500).json()["received_bytes"] == 2048
    assert uploads.path_of(begun.pk).read_bytes() == b"a" * 1500 + b"b" * 548
    assert uploads.path_of(begun.pk).stat().st_mode & 0o077 == 0
    answer = root.post(f"images/{begun.pk}/finish/")
    assert answer.status_code == 202 and answer.json()["plan"] == "image.import"
    assert send(root, begun, b"c", 2048).status_code == 409


def test_a_checksum_is_computed_while_the_bytes_come(root, world):
    """What another process received, and what broke off, is read again by the import: no sum is kept for it."""
    content, half = os.urandom(3 << 20), 3 << 19
    wish = {"kind": "iso", "storage": str(world.storage.pk), "size_bytes": len(content)}
    told = hashlib.sha256(content).hexdigest()
    made = root.post("images/", wish | {"name": "debian", "sha256": told}).json()
    image = Image.objects.get(pk=made["id"])
    send(root, image, content[:half], 0)
    send(root, image, content[half:], half)
    image.refresh_from_db()
    assert image.arrived_sha256 == told

    image = Image.objects.get(pk=root.post("images/", wish | {"name": "other", "sha256": told}).json()["id"])
    send(root, image, content[:half], 0)
    sums.keep(image.pk, half - 1, hashlib.sha256(content[: half - 1]))  # of a piece that another process took
    send(root, image, content[half:], half)
    image.refresh_from_db()
    assert (image.arrived_sha256, image.received_bytes) == ("", len(content))
    assert uploads.digest(uploads.path_of(image.pk), lambda share: None) == told


def test_a_late_writer_finds_the_upload_ended(root, begun, monkeypatch):
    """It was judged before others sent the rest; what is being put on a storage is not written into."""
    send(root, begun, b"a" * 2047, 0)
    real = uploads.arriving

    @contextmanager
    def late(pk, *, offset):
        monkeypatch.undo()
        assert send(root, begun, b"b", 2047).status_code == 200
        assert root.post(f"images/{begun.pk}/finish/").status_code == 202
        with real(pk, offset=offset) as file:
            yield file

    monkeypatch.setattr(uploads, "arriving", late)
    assert send(root, begun, b"c", 2047).status_code == 409
    assert uploads.path_of(begun.pk).read_bytes() == b"a" * 2047 + b"b"


def test_a_storage_that_was_not_looked_at_yet_is_not_full(root, world):
    wish = {"name": "debian", "kind": "iso", "storage": str(world.storage.pk), "size_bytes": 2048}
    StorageDomain.objects.update(observed_at=clock.now(), capacity_bytes=0, available_bytes=0)
    assert root.post("images/", wish).status_code == 201
    StorageDomain.objects.update(capacity_bytes=1 << 40, available_bytes=1 << 39)
    full = root.post("images/", wish | {"name": "other", "size_bytes": 1 << 40})
    assert full.status_code == 503 and full.json()["rule"] == "storage.space"


@pytest.mark.parametrize("offset", ["-1", "1e3", "", "٣", "9" * 30, "0x0"])
def test_offsets_that_are_none_are_refused(root, begun, offset):
    """Row S30."""
    assert send(root, begun, b"a", offset).status_code == 400


def test_pieces_have_bounds_and_a_type(root, begun):
    assert send(root, begun, b"", 0).status_code == 400
    assert send(root, begun, b"{}", 0, "application/json").status_code in (400, 415)
    assert send(root, begun, bytes(uploads.LARGEST_CHUNK + 1), 0).status_code == 413
    begun.refresh_from_db()
    assert begun.received_bytes == 0


def test_who_may_not_upload_finds_nothing(caller, begun, world):
    charlie = caller("charlie")
    assert send(charlie, begun, b"a", 0).status_code == 404
    world.grant(world.charlie, "auditor")
    assert send(caller("charlie"), begun, b"a", 0).status_code == 403


@pytest.mark.parametrize(
    "wish",
    [{"name": "../x"}, {"name": "json:{}"}, {"kind": "floppy"}, {"size_bytes": 1}, {"size_bytes": 2**62},
     {"sha256": "abc"}, {"format": "qcow2"}, {"surprise": 1}],
)  # fmt: skip
def test_a_wrong_announcement_is_refused(root, world, wish):
    right = {"name": "debian", "kind": "iso", "storage": str(world.storage.pk), "size_bytes": 2048}
    assert root.post("images/", right | wish).status_code == 400
    assert not Image.objects.exists()


def test_what_does_not_fit_or_is_one_too_many_is_refused(root, world, monkeypatch):
    wish = {"kind": "iso", "storage": str(world.storage.pk), "size_bytes": 2048}
    for number in range(8):
        assert root.post("images/", wish | {"name": f"cd-{number}"}).status_code == 201
    assert root.post("images/", wish | {"name": "cd-9"}).status_code == 409
    Image.objects.all().delete()
    monkeypatch.setattr(uploads, "SPARE", 1 << 60)
    assert root.post("images/", wish | {"name": "cd-9"}).status_code == 503


def test_a_cancelled_or_forgotten_upload_leaves_nothing(root, begun):
    send(root, begun, b"a" * 100, 0)
    stray = uploads.folder() / "11111111-1111-1111-1111-111111111111.qcow2"
    stray.write_bytes(b"x")
    image_duty.tidy()
    assert uploads.path_of(begun.pk).exists() and not stray.exists()
    Image.objects.update(touched_at=clock.now() - timedelta(days=2))
    image_duty.tidy()
    run_all()
    assert not Image.objects.exists() and not uploads.path_of(begun.pk).exists()
    assert Job.objects.get().state == "succeeded"


def test_an_image_is_renamed_and_one_is_fetched(root, begun, world, caller):
    answer = root.patch(f"images/{begun.pk}/", {"name": "debian-12", "description": "Bookworm"})
    assert answer.status_code == 200 and answer.json()["name"] == "debian-12"
    assert root.patch(f"images/{begun.pk}/", {"name": "../x"}).status_code == 400
    assert caller("charlie").patch(f"images/{begun.pk}/", {"name": "x"}).status_code == 404

    listed = root.post("image-sources/", {"host": "Cloud.example"})
    assert listed.status_code == 201 and listed.json()["host"] == "cloud.example"
    assert root.post("image-sources/", {"host": "cloud.example"}).status_code == 409
    address = f"image-sources/{listed.json()['id']}/"
    assert root.patch(address, {"private": True, "most_gib": 2}).json()["most_gib"] == 2
    wish = {"name": "disk", "kind": "disk", "storage": str(world.storage.pk), "url": "https://cloud.example/disk.qcow2"}
    job = root.post("images/fetch/", wish)
    assert job.status_code == 202 and job.json()["plan"] == "image.import"
    assert root.get(f"images/{job.json()['subject']['id']}/").json()["state"] == "importing"
    assert root.post("images/fetch/", wish | {"name": "x", "url": "https://evil.example/x"}).status_code == 400
    assert caller("charlie").post("images/fetch/", wish | {"name": "x"}).status_code == 404
    assert caller("charlie").get("image-sources/").json()["results"] == []
    assert root.delete(address).status_code == 204 and not ImageSource.objects.exists()


def test_a_guest_s_users_are_said_over_the_api(root, world):
    wish = {"name": "web", "storage": str(world.storage.pk), "disk_bytes": 1 << 30}
    users = [{"name": "bob", "full_name": "Bob", "groups": ["staff"], "password": "correct horse", "sudo": True}]
    told = {"user": "alice", "users": users}
    for wrong in ([{"full_name": "Bob"}], [{"name": "bob", "uid": 0}], [{"name": "bob", "sudo": "yes"}], "bob"):
        assert root.post("vms/", wish | {"cloud_init": told | {"users": wrong}}).status_code == 400, wrong
    taken = root.post("vms/", wish | {"cloud_init": told | {"users": [{"name": "alice"}]}})
    assert taken.status_code == 400 and "Two users are called alice." in taken.json()["detail"]
    made = root.post("vms/", wish | {"cloud_init": told})
    assert made.status_code == 202, made.content
    words = cloud_init.opened(VirtualMachine.objects.get(pk=made.json()["subject"]["id"]))
    (bob,) = words["users"]
    assert (bob["name"], bob["groups"], bob["sudo"]) == ("bob", ["staff"], True)
    assert "correct horse" not in str(words) and "correct horse" not in str(Job.objects.values_list("args", flat=True))
