"""The box in which the programs for remote desktops run, looked at from inside."""

import subprocess

import pytest

from broker.gateway.closing import OVERLOADED, UNREACHABLE
from broker.gateway.desk import Rdp, Refused
from broker.gateway.rdp import begin, screen


def inside(command: str) -> list[str]:
    done = subprocess.run((*screen._BOX, "sh", "-c", command), capture_output=True, text=True, timeout=30)
    return done.stdout.split()


def test_it_has_programs_and_nothing_else_of_this_computer(monkeypatch):
    monkeypatch.setenv("BERTH_SECRET_KEY", "do not tell")
    assert set(inside("ls /")) <= {"bin", "lib", "lib64", "usr", "etc", "proc", "dev", "tmp"}
    assert set(inside("ls /etc")) <= {"alternatives", "fonts", "ssl"}
    assert inside("ls -A /tmp") == [".X11-unix"]
    assert not [entry for entry in inside("env") if "BERTH" in entry]
    assert len(inside("ls -d /proc/[0-9]*")) <= 3, "other processes are seen"


def test_it_has_no_rights():
    assert inside("id -u; id -g; cat /proc/self/status | grep CapEff | cut -f2") == ["65534", "65534", "0" * 16]
    assert inside("touch /usr/x 2>/dev/null || echo refused") == ["refused"]


@pytest.fixture
def rdp(tmp_path):
    return Rdp("192.0.2.1:3389", "machine", "run", str(tmp_path / "trust"), "alice", "Secret pw1")


def test_no_more_at_a_time_than_are_allowed(rdp):
    with pytest.raises(Refused) as refused:
        begin(rdp, most=0)
    assert refused.value.closing is OVERLOADED


def test_what_is_not_installed_is_said_in_the_log(rdp, monkeypatch, caplog):
    monkeypatch.setattr(screen, "PROGRAMS", ("bwrap", "no-such-program"))
    with pytest.raises(Refused) as refused:
        begin(rdp, most=1)
    assert refused.value.closing is UNREACHABLE
    assert "no-such-program" in caplog.text and "Secret" not in caplog.text


def test_certificates_are_kept_for_one_run_of_the_machine(rdp, tmp_path):
    first = screen._trust(rdp)
    (first / "known").write_text("a certificate")
    assert screen._trust(rdp) == first and (first / "known").exists()
    other = Rdp(rdp.address, rdp.machine, "next-run", rdp.trust, "alice", "x")
    assert screen._trust(other) != first and not first.exists()
