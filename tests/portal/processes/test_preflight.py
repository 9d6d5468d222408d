"""What stands in the way of starting is said in one sentence, with the way out."""

import os
import socket

import pytest

from broker.core.errors import Conflict, Denied, Unavailable
from portal.processes import preflight

FREE = "127.0.0.1:0"  # the kernel picks a port that nobody uses


def refusal(kind, listen=FREE, **how) -> str:
    """The sentence with which `check` refuses, and its next step."""
    with pytest.raises(kind) as caught:
        preflight.check(listen, **{"space": 0, **how})
    assert caught.value.message.count(".") >= 1
    assert caught.value.message.endswith(".")
    assert "\n" not in str(caught.value)
    assert "%(" not in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """A PATH with a QEMU on it and nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    qemu = programs / "qemu-system-x86_64"
    qemu.write_text("#!/bin/sh\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return programs


def test_nothing_is_in_the_way(tools, tmp_path):
    preflight.check(FREE, tmp_path / "data", space=1)
    assert (tmp_path / "data").is_dir()


def test_a_port_in_use_is_named_with_another(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(Conflict, f"127.0.0.1:{port}", data_dir=tmp_path, machines=False)
    assert f"Port {port} is in use" in said
    assert f"LISTEN=127.0.0.1:{port + 1}" in said


@pytest.mark.parametrize("listen", ["8000x", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", ""])
def test_what_is_no_address_is_shown_what_one_is(tmp_path, listen):
    said = refusal(Conflict, listen, data_dir=tmp_path, machines=False)
    assert "127.0.0.1:8000" in said


def test_an_address_of_another_computer_cannot_be_listened_on(tmp_path):
    said = refusal(Conflict, "192.0.2.1:8000", data_dir=tmp_path, machines=False)
    assert said.startswith("Cannot listen on 192.0.2.1:8000")


def test_machines_need_root(tools, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo" in refusal(Denied, data_dir=tmp_path)


def test_without_machines_nobody_needs_root_or_qemu(tools, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tools / "qemu-system-x86_64").unlink()
    preflight.check(FREE, tmp_path, machines=False, space=0)


def test_a_missing_qemu_is_named_with_its_package(tools, tmp_path):
    (tools / "qemu-system-x86_64").unlink()
    said = refusal(Unavailable, data_dir=tmp_path)
    assert "QEMU is not installed" in said
    assert "qemu-system-x86" in said


def test_a_full_disk_says_how_much_is_missing(tmp_path):
    said = refusal(preflight.NoSpaceHere, data_dir=tmp_path, machines=False, space=1 << 62)
    assert str(tmp_path) in said
    assert f"{(1 << 62) / 1024**3:.1f} GiB are needed" in said


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    said = refusal(Denied, data_dir=tmp_path / "file" / "data", machines=False)
    assert "Not a directory" in said
    assert "BERTH_DATA_DIR" in said


def test_a_directory_that_may_not_be_written_to_is_named(monkeypatch, tmp_path):
    # Root may write everywhere: the answer of the system is given in its place.
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    said = refusal(Denied, data_dir=tmp_path, machines=False)
    assert f"{tmp_path} cannot be written to" in said
