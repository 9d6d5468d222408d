"""Images from servers: what is refused before a socket is opened, what is refused then, and what is gone on with."""

import hashlib
import socket

import pytest

from broker.core.errors import BerthError, Conflict, Invalid, Unavailable
from broker.jobs.models import Job
from broker.virt import fetching, uploads
from broker.virt.actions.create_image_source import create_image_source
from broker.virt.actions.edit_image_source import edit_image_source
from broker.virt.actions.fetch_image import fetch_image
from broker.virt.models import Image, ImageSource
from tests.jobs_help import finish
from tests.servers import files as servers
from tests.virt.actions.stage import SYSTEM, Stage

CONTENT = bytes(16 * 2048) + b"\x01CD001\x01" + bytes(range(256)) * 9000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with servers.serving(tmp_path_factory.mktemp("files")) as files:
        yield files


@pytest.fixture
def files(server):
    server.content, server.moved, server.cuts, server.etag = {"/cd.iso": CONTENT}, {}, 0, '"one"'
    server.asked, server.connections = [], 0
    return server


@pytest.fixture
def stage(db, settings, tmp_path, monkeypatch):
    settings.DATA_DIR = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.01)
    stage = Stage()

    def stored(line, storage, name, source, progress=None):
        """As a real host would; the simulated one has no contents and refuses."""
        return line.create_volume(storage, name, capacity=source.stat().st_size)

    monkeypatch.setattr(type(stage.line), "store_volume", stored)
    return stage


@pytest.fixture
def source(stage, files):
    return create_image_source(actor=SYSTEM, host="127.0.0.1", port=files.port, private=True, ca=files.ca)


def ask(stage, url, **wish) -> Job:
    storage = stage.world.storage
    return fetch_image(actor=SYSTEM, storage=storage, url=url, **{"name": "cd", "kind": "iso"} | wish)


def fails(job: Job, word: str) -> None:
    """It says why, and leaves neither image nor bytes."""
    job = finish(job)
    assert job.state == "failed" and word in job.cause, (job.state, job.cause)
    assert not Image.objects.exists() and not list(uploads.folder().iterdir())


def test_an_image_is_fetched_and_checked(stage, source, files):
    image = Image.objects.get(pk=finish(ask(stage, files.url("/cd.iso"), sha256=SHA256)).subject_id)
    assert (image.state, image.size_bytes, image.received_bytes) == ("ready", len(CONTENT), len(CONTENT))
    assert image.url == files.url("/cd.iso") and files.asked == [("/cd.iso", "")]
    assert image.volume in stage.volumes() and not list(uploads.folder().iterdir())


def test_another_checksum_is_refused(stage, source, files):
    fails(ask(stage, files.url("/cd.iso"), sha256="0" * 64), "checksum")


def test_what_breaks_off_is_gone_on_with(stage, source, files):
    files.cuts = 3
    job = finish(ask(stage, files.url("/cd.iso"), sha256=SHA256))
    assert job.state == "succeeded", job.cause
    begins, expected = 0, [""]
    for _ in range(3):  # each time half of the rest came
        begins += (len(CONTENT) - begins) // 2
        expected.append(f"bytes={begins}-")
    assert [wanted for _path, wanted in files.asked] == expected


@pytest.mark.parametrize(("tag", "begun"), [('"one"', CONTENT[: len(CONTENT) // 2]), ('"older"', b"something else")])
def test_another_worker_goes_on_unless_the_file_is_another_now(stage, source, files, tag, begun):
    job = ask(stage, files.url("/cd.iso"), sha256=SHA256)
    job.args = {"size": len(CONTENT), "validator": tag}
    job.save()
    uploads.path_of(job.subject_id).write_bytes(begun)
    assert finish(job).state == "succeeded", job.cause
    assert files.asked == [("/cd.iso", f"bytes={len(begun)}-")]


def test_without_a_tag_it_begins_anew(stage, source, files):
    files.etag, files.cuts = "", 1
    assert finish(ask(stage, files.url("/cd.iso"), sha256=SHA256)).state == "succeeded"
    assert files.asked == [("/cd.iso", "")] * 2


def test_it_gives_up_when_nothing_comes(stage, source, files):
    """Its job then tries again for a while, as with everything that may answer later."""
    files.cuts, files.etag = 99, ""
    with pytest.raises(Unavailable, match="could not be fetched"):
        fetching.fetch(
            uploads.folder() / "x", files.url("/cd.iso"), fetching.Known(), learn=lambda known: None,
            tick=lambda here: None,
        )  # fmt: skip
    assert len(files.asked) == fetching.TRIES + 1  # the first one brought something


def test_a_cancelled_one_is_gone(stage, source, files, monkeypatch):
    job = ask(stage, files.url("/cd.iso"))
    Job.objects.filter(pk=job.pk).update(cancel_requested=True)
    assert finish(job).state == "cancelled"
    assert not Image.objects.exists() and not list(uploads.folder().iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/cd.iso", "file:///etc/passwd", "gopher://127.0.0.1:{port}/", "ftp://127.0.0.1/x",
        "https://127.0.0.1/cd.iso", "https://localhost:{port}/cd.iso", "https://[::1]:{port}/", "https://2130706433:{port}/",
        "https://0x7f000001:{port}/", "https://127.1:{port}/", "https://169.254.169.254/latest/meta-data/",
        "https://user:secret@127.0.0.1:{port}/cd.iso", "https://127.0.0.1:{port}@evil.example/", "//127.0.0.1:{port}/",
        "https://evil.example#@127.0.0.1:{port}/", "https://127.0.0.1:{port}\\@evil.example/", "https://127.0.0.1:{port}/?a=b",
        "https://127.0.0.1:{port}/a b", "https://127.0.0.1:{port}/\r\nHost: evil", "https://127.0.0.1:99999/", "https://",
        "https://127.0.0.1:{port}/" + "x" * 1000, "https://１２７.0.0.1:{port}/", "",
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused_before_a_socket_is_opened(stage, source, files, url):
    """Row S29."""
    with pytest.raises(Invalid) as caught:
        ask(stage, url.replace("{port}", str(files.port)))
    assert caught.value.field == "url" and caught.value.fix
    assert files.connections == 0 and not Image.objects.exists() and not Job.objects.exists()


@pytest.mark.parametrize(
    ("address", "well"),
    [
        ("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("100.64.0.1", False), ("::1", False),
        ("fe80::1", False), ("fd00::1", False), ("::ffff:127.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("0.0.0.0", False), ("2002:7f00:1::", False), ("224.0.0.1", False), ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
    ],
)  # fmt: skip
def test_a_name_that_means_a_private_address_is_refused(stage, monkeypatch, address, well):
    source = ImageSource(host="cloud.example")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(family, 1, 6, "", (address, 443))])
    if well:
        assert fetching._address_of(source)[0][0] == address
    else:
        with pytest.raises(BerthError, match="not of the public internet"):
            fetching._address_of(source)


def test_one_bad_address_among_good_ones_is_enough(monkeypatch):
    both = [(socket.AF_INET, 1, 6, "", (address, 443)) for address in ("93.184.215.14", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(BerthError):
        fetching._address_of(ImageSource(host="cloud.example"))


def test_an_unlisted_address_is_not_connected_to(stage, source, files):
    edit_image_source(actor=SYSTEM, source=source, private=False)
    fails(ask(stage, files.url("/cd.iso")), "not of the public internet")
    assert files.connections == 0


def test_a_metadata_service_is_never_asked(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("169.254.169.254", 443))])
    with pytest.raises(BerthError):
        fetching._address_of(ImageSource(host="metadata.example", private=True))


@pytest.mark.parametrize(
    "there", ["http://127.0.0.1:{port}/cd.iso", "https://localhost:{port}/cd.iso", "file:///etc/passwd", "/again", ""]
)
def test_redirects_lead_to_listed_servers_only(stage, source, files, there):
    files.moved = {"/moved": there.replace("{port}", str(files.port)), "/again": "/again"}
    job = finish(ask(stage, files.url("/moved")))
    assert job.state == "failed" and job.error["code"] == "invalid", job.error
    assert {path for path, _ in files.asked} <= {"/moved", "/again"} and len(files.asked) <= fetching.MOST_REDIRECTS + 1


def test_a_redirect_to_a_listed_server_is_followed(stage, source, files):
    files.moved = {"/moved": "/signed?key=1"}
    files.content["/signed?key=1"] = CONTENT
    assert finish(ask(stage, files.url("/moved"), sha256=SHA256)).state == "succeeded"


def test_a_certificate_of_somebody_else_is_refused(stage, source, files, tmp_path):
    edit_image_source(actor=SYSTEM, source=source, ca="")
    fails(ask(stage, files.url("/cd.iso")), "certificate")
    with servers.serving(tmp_path, names="DNS:other.example") as other:
        other.content["/cd.iso"] = CONTENT
        create_image_source(actor=SYSTEM, host="127.0.0.1", port=other.port, private=True, ca=other.ca)
        fails(ask(stage, other.url("/cd.iso")), "certificate")
        assert other.asked == [], "nothing is asked of a server that is not who it says"


def test_too_large_and_missing_files_are_refused(stage, source, files, monkeypatch):
    fails(ask(stage, files.url("/none")), "404")
    ImageSource.objects.filter(pk=source.pk).update(most_gib=0)
    fails(ask(stage, files.url("/cd.iso")), "more than 0 GiB")


def test_a_server_is_listed_once_and_with_certificates_only(stage, source, files):
    with pytest.raises(Conflict):
        create_image_source(actor=SYSTEM, host="127.0.0.1", port=files.port)
    for wrong in ({"host": "a b"}, {"host": "x/y"}, {"host": "u@x"}, {"host": "x.example", "ca": "no"},
                  {"host": "x.example", "port": 0}, {"host": "x.example", "most_gib": 0}):  # fmt: skip
        with pytest.raises(Invalid):
            create_image_source(actor=SYSTEM, **wrong)
