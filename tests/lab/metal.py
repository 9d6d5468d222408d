"""A host of its own kernel for what namespaces cannot show: `with Metal(base, image) as metal: …`.

A Debian (deploy/image/build-host) boots in an emulated computer that has an IOMMU, a network card and a tablet to give
away (SPARE, TABLET), and a memory stick. Its traffic control and its /sys are a real kernel's, its libvirt is Debian's
own, and it is reached over SSH like any host. Of the machine below nothing but the processor is used: no KVM, no
modules.
Two emulations lie on each other here, so everything takes ten times as long.
"""

import base64
import contextlib
import socket
import subprocess
import time
from pathlib import Path

SPARE = "0000:01:00.0"
"""The address of its network card that it does not use itself, a PCI device."""
SPARE_DRIVER = "e1000e"
TABLET, TABLET_DRIVER = "0627:0001", "usbhid"
"""Vendor and product of the tablet, a USB device."""
STICK = "46f4:0001"
"""Those of the memory stick."""
BRIDGE = "br0"
"""A bridge that its own network card is in."""

MEMORY_MIB = 1280
_BOOTS = 240  # seconds at most
_CALM = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR")  # fmt: skip


class Metal:
    """`uri` is for Berth, whose key is let in by `let_in`; `run` is for the test to look behind its back."""

    def __init__(self, base: Path, image: Path) -> None:
        self.base, self.image = base, image
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.uri = f"qemu+ssh://root@127.0.0.1:{self.port}/system"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Metal":
        self.base.mkdir(parents=True)
        self._tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(self.base / "key"))
        self._tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.image), "-F", "qcow2", "disk.qcow2")
        with (self.base / "stick.raw").open("wb") as stick:
            stick.truncate(8 << 20)
        with (self.base / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), cwd=self.base, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Pull its plug."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run(self, command: str) -> str:
        """What a line of shell says there, as root. AssertionError when it fails."""
        done = self._ssh(command, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def let_in(self, public_key: str) -> None:
        """Do what an administrator does before a host is added over SSH."""
        self.run(f"echo '{public_key}' >>/root/.ssh/authorized_keys")

    def _ssh(self, command: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        """One line for all that is said: a new one takes a second of an emulated processor."""
        words = ["ssh", "-F", "/dev/null", "-i", str(self.base / "key"), "-p", str(self.port), *_CALM,
                 "-o", "ControlMaster=auto", "-o", f"ControlPath={self.base}/line", "-o", "ControlPersist=60",
                 "root@127.0.0.1", command]  # fmt: skip
        with (self.base / "ssh.log").open("ab") as log:  # no pipe: the line's keeper would hold it open
            return subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, check=False,
                timeout=timeout,
            )  # fmt: skip

    def _wait(self) -> None:
        deadline = time.monotonic() + _BOOTS
        while True:
            assert self._process is not None and self._process.poll() is None, (self.base / "qemu.log").read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                # libvirt asks its emulator what it can do when it is first asked itself, which takes long here
                done = self._ssh("systemctl is-system-running --wait; virsh capabilities", timeout=120)
                if done.returncode == 0:
                    return
            assert time.monotonic() < deadline, (self.base / "serial.log").read_text(errors="replace")[-2000:]
            time.sleep(1)

    def _tool(self, *words: str) -> None:
        subprocess.run(words, cwd=self.base, check=True, capture_output=True)

    def _command(self) -> list[str]:
        key = base64.b64encode((self.base / "key.pub").read_bytes()).decode()
        credential = f"io.systemd.credential.binary:ssh.authorized_keys.root={key}"
        return [
            "qemu-system-x86_64", "-machine", "q35,kernel-irqchip=off", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot",
            "-device", "intel-iommu", "-device", "virtio-rng-pci",
            "-drive", "file=disk.qcow2,if=none,id=disk,cache=unsafe", "-device", "virtio-blk-pci,drive=disk",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=net",
            "-device", "pcie-root-port,id=root1,chassis=1", "-device", "e1000e,bus=root1",
            "-device", "qemu-xhci", "-device", "usb-tablet", "-drive", "file=stick.raw,format=raw,if=none,id=stick",
            "-device", "usb-storage,drive=stick,removable=on,serial=LAB1",
            "-smbios", f"type=11,value={credential}", "-serial", "file:serial.log",
        ]  # fmt: skip
