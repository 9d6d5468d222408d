"""The guest's helper for signing on, over stand-ins of getent and systemd: what it refuses, and what it does once."""

import shutil
import subprocess
from pathlib import Path

import pytest

HELPER = Path(__file__).resolve().parents[2] / "deploy" / "guest" / "berth-sign-on"
PEOPLE = {
    "root": "root:x:0:0:root:/root:/bin/bash",
    "toor": "toor:x:0:0:root:/root:/bin/sh",
    "www-data": "www-data:x:33:33:www:/var/www:/bin/sh",
    "nobody": "nobody:x:65534:65534:nobody:/:/bin/sh",
    "robot": "robot:x:1005:1005::/:/usr/sbin/nologin",
    "alice": "alice:x:1000:1000:Alice $(touch /tmp/x),,,:/home/alice:/bin/bash",
    "bob": "bob:x:1001:1001::/home/bob:/bin/bash",
    "alias": "other name:x:1002:1002::/home/alias:/bin/bash",
    "1000": "alice:x:1000:1000::/home/alice:/bin/bash",
}
GETENT = """#!/bin/sh
case $2 in
%s
*) exit 2 ;; esac
"""
# Sessions are files "UID SEAT CLASS STATE"; restarting the unit logs in whom the request names, as getty would have it.
LOGINCTL = """#!/bin/sh
cd "$BERTH_SIGN_ON_ROOT/sessions"
echo "$*" >>"$BERTH_SIGN_ON_ROOT/told"
case $1 in
list-sessions) for s in *; do [ "$s" = '*' ] || echo "$s 1 x"; done ;;
show-session) read -r uid seat class state <"$2" && printf 'User=%s\\nSeat=%s\\nClass=%s\\nState=%s\\n' \
    "$uid" "${seat#-}" "$class" "$state" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$BERTH_SIGN_ON_ROOT/told"
[ ! -e "$BERTH_SIGN_ON_ROOT/broken" ] || exit 1
[ -e "$BERTH_SIGN_ON_ROOT/slow" ] || echo "1000 seat0 user active" >"$BERTH_SIGN_ON_ROOT/sessions/c1"
"""


class Guest:
    def __init__(self, root: Path):
        self.root = root
        for name in ("bin", "proc", "sessions", "etc/default", "run"):
            (root / name).mkdir(parents=True)
        lines = "\n".join(f"{name}) echo '{line}' ;;" for name, line in PEOPLE.items())
        for name, text in {"getent": GETENT % lines, "loginctl": LOGINCTL, "systemctl": SYSTEMCTL}.items():
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)
        (root / "bin" / "sleep").symlink_to("/bin/true")
        (root / "etc/default/berth-sign-on").write_text("UNIT=seat.service\n")
        self.uptime(100)

    def uptime(self, seconds: int) -> None:
        (self.root / "proc" / "uptime").write_text(f"{seconds}.25 1.00\n")

    def session(self, name: str, text: str) -> None:
        (self.root / "sessions" / name).write_text(f"{text}\n")

    def __call__(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", HELPER, *words], env={"BERTH_SIGN_ON_ROOT": str(self.root)}, capture_output=True, text=True
        )
        return done.returncode, done.stdout.strip()

    def nonce(self) -> str:
        code, nonce = self("ask")
        assert code == 0 and len(nonce) == 32
        return nonce

    @property
    def told(self) -> str:
        path = self.root / "told"
        return path.read_text() if path.exists() else ""

    @property
    def left(self) -> set[str]:
        return {path.name for path in (self.root / "run/berth-sign-on").iterdir()}


@pytest.fixture
def guest(tmp_path):
    return Guest(tmp_path / "guest")


def test_a_person_is_logged_in_once(guest):
    nonce = guest.nonce()
    assert guest("begin", "alice", nonce) == (0, "signed-on")
    assert "restart seat.service" in guest.told
    assert (guest.root / "run/berth-sign-on").stat().st_mode & 0o777 == 0o700
    assert guest("begin", "alice", nonce) == (13, "void-request")
    assert guest("begin", "alice", guest.nonce()) == (0, "present")
    assert guest.told.count("restart") == 1
    assert guest("status", "alice") == (0, "present")
    assert guest("begin", "bob", guest.nonce()) == (14, "occupied")


def test_who_is_slow_is_asked_after(guest):
    (guest.root / "slow").touch()
    assert guest("begin", "alice", guest.nonce()) == (0, "begun")
    assert guest("status", "alice") == (0, "absent")
    assert guest("take") == (0, "alice")
    assert guest("take") == (0, "")


@pytest.mark.parametrize("name", ["root", "toor", "www-data", "nobody", "robot", "alias"])
def test_no_account_of_the_system_is_logged_in(guest, name):
    assert guest("begin", name, guest.nonce()) == (12, "refused-user")
    assert "restart" not in guest.told and guest.left == set()


@pytest.mark.parametrize(
    "name", ["carol", "1000", "", "-s", "--help", "a b", "alice;id", "$(id)", "../alice", "alice\nroot"]
)
def test_nobody_else_is_known(guest, name):
    assert guest("begin", name, guest.nonce()) == (11, "unknown-user")
    assert "restart" not in guest.told and guest.left == set()


def test_a_nonce_is_good_for_a_minute_of_the_guests_own_time(guest):
    nonce = guest.nonce()
    guest.uptime(161)
    assert guest("begin", "alice", nonce) == (13, "void-request")
    nonce = guest.nonce()
    guest.uptime(20)  # it cannot have been asked for later than now
    assert guest("begin", "alice", nonce) == (13, "void-request")
    older = guest.nonce()
    assert guest("begin", "alice", "0" * 32)[0] == 13, "and spends it"
    assert guest("begin", "alice", older)[0] == 13
    guest.nonce()
    assert guest("begin", "alice", "")[0] == 13
    assert "restart" not in guest.told


def test_a_request_that_nobody_took_is_void_after_a_minute(guest):
    (guest.root / "slow").touch()
    guest("begin", "alice", guest.nonce())
    guest.uptime(161)
    assert guest("take") == (0, "") and guest.left == set()


@pytest.mark.parametrize("line", ["nobody 100", "root 100", "alice", "", "alice x", "alice 100000"])
def test_a_request_that_is_none_logs_nobody_in(guest, line):
    guest.nonce()
    (guest.root / "run/berth-sign-on/request").write_text(f"{line}\n")
    assert guest("take") == (0, "")


@pytest.mark.parametrize("other", ["0 seat0 user active", "1001 - user online", "1001 seat0 user active"])
def test_while_somebody_else_is_logged_in_nobody_is(guest, other):
    guest.session("7", other)
    for words in (("begin", "alice", guest.nonce()), ("unlock", "alice"), ("status", "alice")):
        assert guest(*words) == (14, "occupied")
    assert "restart" not in guest.told and "unlock" not in guest.told


def test_greeters_and_what_is_over_is_nobody(guest):
    guest.session("c1", "110 seat0 greeter active")
    guest.session("7", "1001 seat0 user closing")
    guest.session("8", "1000 - user online")  # the person over SSH is not at the screen
    assert guest("begin", "alice", guest.nonce()) == (0, "signed-on")


def test_only_the_sessions_at_the_screen_are_unlocked(guest):
    assert guest("unlock", "alice") == (0, "absent")
    guest.session("7", "1000 - user online")
    guest.session("8", "1000 seat0 user active")
    assert guest("unlock", "alice") == (0, "unlocked")
    assert "unlock-session 8" in guest.told and "unlock-session 7" not in guest.told


def test_where_there_is_no_screen_nothing_waits(guest):
    (guest.root / "broken").touch()
    assert guest("begin", "alice", guest.nonce()) == (16, "no-screen")
    assert guest.left == set()


def test_what_is_no_order_does_nothing(guest):
    for words in ((), ("begin",), ("begin", "alice"), ("ask", "now"), ("getty",), ("status",), ("sign", "alice")):
        assert guest(*words)[0] == 2
    assert guest.told == ""


@pytest.mark.skipif(shutil.which("id") is None, reason="no id")
def test_it_installs_itself_and_goes(guest):
    if subprocess.check_output(["id", "-u"], text=True).strip() != "0":
        pytest.skip("needs root")
    assert guest("install") == (0, "Installed.")
    helper = guest.root / "usr/local/sbin/berth-sign-on"
    drop_in = guest.root / "etc/systemd/system/getty@tty1.service.d/berth-sign-on.conf"
    assert helper.read_bytes() == HELPER.read_bytes() and helper.stat().st_mode & 0o777 == 0o755
    assert "ExecStart=-/usr/local/sbin/berth-sign-on getty $TERM" in drop_in.read_text().splitlines()
    assert guest("install") == (0, "Installed.")
    assert guest("remove") == (0, "Removed.")
    assert not helper.exists() and not drop_in.parent.exists()
