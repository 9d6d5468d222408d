"""What serve says while it starts: on a terminal a line that moves, in a log few lines."""

import io
import re
import threading

from portal.demo import tell as module
from portal.demo.tell import Teller


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_is_a_line_with_the_time_since_the_start():
    out = io.StringIO()
    Teller(out).step("Preparing the database")
    assert re.fullmatch(r"\[ *\d+\.\d s\] Preparing the database\n", out.getvalue())


def test_a_log_gets_a_line_for_each_tenth():
    out = io.StringIO()
    tell = Teller(out)
    for percent in range(101):
        tell.share(percent / 100, "Unpacking")
    lines = out.getvalue().splitlines()
    assert len(lines) == 11
    assert "\r" not in out.getvalue()
    assert "100%  Unpacking" in lines[-1]


def test_two_long_steps_each_begin_at_nothing():
    out = io.StringIO()
    tell = Teller(out)
    tell.share(0.05, "one")
    tell.step("and now")
    tell.share(0.05, "two")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["one", "now", "two"]


def test_a_terminal_gets_one_line_that_is_drawn_anew_and_ended():
    out = Terminal()
    tell = Teller(out)
    for percent in range(0, 101, 5):
        tell.share(percent / 100, "Unpacking " + "x" * 200)
    assert "\n" not in out.getvalue()
    assert all(len(drawn) <= 110 for drawn in out.getvalue().split("\r\x1b[K"))
    tell.step("Done")
    assert out.getvalue().count("\n") == 2


def test_a_box_is_as_wide_as_its_longest_line():
    out = io.StringIO()
    Teller(out).box(["root", "a longer line"])
    drawn = out.getvalue().strip().splitlines()
    assert len({len(line) for line in drawn}) == 1
    assert "│ root          │" in drawn


def test_at_the_end_it_says_where_to_look(monkeypatch):
    out = io.StringIO()
    Teller(out).open_here(threading.Event())
    assert f"Open {module.address()}" in out.getvalue()


def test_the_address_is_one_that_a_browser_can_open(monkeypatch):
    def address(listen, origins=()):
        monkeypatch.setattr(module.env, "listen", listen)
        monkeypatch.setattr(module.env, "origins", list(origins))
        return module.address()

    assert address("127.0.0.1:8000") == "http://127.0.0.1:8000/"
    assert address("0.0.0.0:8001") == address("[::]:8001") == "http://127.0.0.1:8001/"
    assert address("10.1.2.3:80") == "http://10.1.2.3:80/"
    assert address("0.0.0.0:8000", ["https://vdi.example.org"]) == "https://vdi.example.org"
