"""What a process has not sent yet is gone with it, so that no write arrives after its end."""

import os
import signal
import socket
import subprocess
import sys

from broker.virt.agent import lines

WRITER = """import socket, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.setblocking(False)
try:
    while True:
        line.send(bytes(65536))
except BlockingIOError:
    print(flush=True)
sys.stdin.read()
"""


def heard_after_the_end_of_a_writer(*, forget: str) -> tuple[int, bool]:
    """The bytes that arrive from a process with a full line after it was killed, and whether the line was cut."""
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        door.bind(("127.0.0.1", 0))
        door.listen()
        port = door.getsockname()[1]
        words = [sys.executable, "-c", WRITER, str(port)]
        writer = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line, _ = door.accept()
        with line:
            writer.stdout.readline()
            assert lines.end_orphans({port}) == 0  # somebody has it open
            handle = os.pidfd_open(writer.pid)
            if forget == "before":
                signal.pidfd_send_signal(handle, signal.SIGSTOP)
                lines.forget_unsent(handle, writer.pid)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
            writer.wait()
            writer.stdin.close()
            writer.stdout.close()
            if forget == "after":
                assert lines.end_orphans({port + 1}) == 0 and lines.end_orphans({port}) == 1
            heard = 0
            try:
                while piece := line.recv(1 << 20):
                    heard += len(piece)
            except ConnectionResetError:
                return heard, True
            return heard, False


def test_a_line_is_cut_with_what_was_not_sent():
    kept, cut = heard_after_the_end_of_a_writer(forget="never")
    assert not cut and kept > 65536  # the kernel goes on for the dead
    for moment in ("before", "after"):
        kept, cut = heard_after_the_end_of_a_writer(forget=moment)
        assert cut and kept <= 65536


def test_one_that_has_ended_holds_nothing():
    gone = subprocess.Popen(["true"])
    handle = os.pidfd_open(gone.pid)
    gone.wait()
    lines.forget_unsent(handle, gone.pid)
    os.close(handle)
