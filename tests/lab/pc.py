"""A physical PC for tests: a network namespace on a cable of its own, with what is wanted running on it.

QEMU's VNC server with a password stands for the PC's; its screen is that of a firmware that finds nothing to boot.
Needs the cage (cage.py).
"""

import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

START_SECONDS = 60
_OPEN_PORT = "import socket,sys,time;s=socket.create_server((sys.argv[1],int(sys.argv[2])));time.sleep(3600)"


class LabPc:
    """One PC at `address`, seen from `near`, both in the /24 of `subnet`. `hear` is a socket for what is sent to it."""

    def __init__(self, number: int = 1):
        self.name, self.subnet = f"pc{number}-{secrets.token_hex(2)}", f"10.77.{number}"
        self.near, self.address = f"{self.subnet}.1", f"{self.subnet}.2"
        self.folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        far = f"{self.name}-far"
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", far, "netns", self.name)
        _ip("address", "add", f"{self.near}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")
        for words in (("address", "add", f"{self.address}/24", "dev", far), ("link", "set", far, "up"),
                      ("link", "set", "lo", "up")):  # fmt: skip
            _ip("-netns", self.name, *words)
        return self

    def __exit__(self, *exc: object) -> None:
        self.switch_off()
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", self.name)  # at once; with its namespace it would go some time later
            _ip("netns", "del", self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def show_screen(self, *, password: str = "", port: int = 5900) -> None:
        """Run a VNC server there, and wait until it listens."""
        words = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-vga", "std"]
        screen = f"{self.address}:{port - 5900}"
        if password:
            secret = self.folder / "password"
            secret.write_text(password)
            words += ["-object", f"secret,id=vnc,file={secret}"]
            screen += ",password-secret=vnc"
        monitor = f"unix:{self.folder}/monitor,server=on,wait=off"
        self._run([*words, "-vnc", screen, "-qmp", monitor], port)

    def screenshot(self) -> Path:
        """What its screen shows, by QEMU's own word, as a PPM."""
        path = self.folder / "screen.ppm"
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            lines = monitor.makefile("rwb", buffering=0)
            lines.readline()
            for name, arguments in (("qmp_capabilities", {}), ("screendump", {"filename": str(path)})):
                lines.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
                answer = b""
                while not answer.startswith((b'{"return"', b'{"error"')):
                    answer = lines.readline()
                assert answer.startswith(b'{"return"'), answer
        return path

    def open_port(self, port: int) -> None:
        """Listen there and say nothing."""
        self._run([sys.executable, "-c", _OPEN_PORT, self.address, str(port)], port)

    def switch_off(self) -> None:
        """End what runs there; its cable stays in."""
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    def hush(self) -> None:
        """Pull its cable: nothing answers any more, not even that a port is closed."""
        _ip("-netns", self.name, "link", "set", f"{self.name}-far", "down")

    def plug_in(self) -> None:
        _ip("-netns", self.name, "link", "set", f"{self.name}-far", "up")

    def hear(self) -> subprocess.Popen[bytes]:
        """A process there that writes the first packet which comes to UDP port 9 on its output."""
        script = (
            "import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',9));"
            "sys.stderr.write('x');sys.stderr.flush();sys.stdout.buffer.write(s.recv(2000))"
        )
        words = ["ip", "netns", "exec", self.name, sys.executable, "-c", script]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr is not None and process.stderr.read(1) == b"x"
        self._running.append(process)
        return process

    def _run(self, words: list[str], port: int) -> None:
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *words])
        self._running.append(process)
        until = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError), socket.create_connection((self.address, port), 2):
                return
            assert process.poll() is None and time.monotonic() < until, f"{words[0]} does not listen"
            time.sleep(0.05)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
