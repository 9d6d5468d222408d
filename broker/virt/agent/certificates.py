"""The host's key and certificate: made and asked for with openssl, put where libvirtd and QEMU look for them.

The key never leaves the host. libvirtd reads new files without a restart, and what it serves goes on.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CONFIG = "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nO=Berth host\nCN=host\n"
# what → where, with its mode; QEMU does not run as root and has to read its key
CA = ("etc/pki/CA/cacert.pem", "etc/pki/qemu/ca-cert.pem")
CERTIFICATE = (
    "etc/pki/libvirt/servercert.pem", "etc/pki/libvirt/clientcert.pem", "etc/pki/qemu/server-cert.pem",
    "etc/pki/qemu/client-cert.pem",
)  # fmt: skip
KEY = (
    "etc/pki/libvirt/private/serverkey.pem", "etc/pki/libvirt/private/clientkey.pem", "etc/pki/qemu/server-key.pem",
    "etc/pki/qemu/client-key.pem",
)  # fmt: skip
QEMU_GROUPS = ("libvirt-qemu", "qemu", "kvm")


def request() -> tuple[str, str]:
    """A new key and a request for it, as PEM."""
    with tempfile.TemporaryDirectory() as folder:
        config, key = Path(folder, "config"), Path(folder, "key")
        config.write_text(CONFIG)
        done = subprocess.run(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-config", str(config), "-keyout", str(key)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return key.read_text(), done.stdout


def install(key: str, certificate: str, authority: str, *, root: Path = Path("/")) -> None:
    """The key first: whoever reads between two files sees a pair that does not fit, and reads again."""
    for place in KEY:
        _put(root / place, key, 0o640 if "/qemu/" in place else 0o600)
    for place in CA:
        _put(root / place, authority, 0o644)
    for place in CERTIFICATE:
        _put(root / place, certificate, 0o644)


def reload() -> str:
    """Have libvirtd read them; returns what went wrong, "" for nothing."""
    for daemon in ("libvirtd", "virtproxyd"):
        try:
            done = subprocess.run(
                ["virt-admin", "-c", f"{daemon}:///system", "server-update-tls", daemon],
                capture_output=True, text=True, check=False, timeout=30,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return ""
    return done.stderr.strip() or "libvirtd does not answer"


def _put(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if mode == 0o640:
        _give_to_qemu(aside)
    aside.chmod(mode)
    aside.replace(path)


def _give_to_qemu(path: Path) -> None:
    for group in QEMU_GROUPS:
        try:
            shutil.chown(path, group=group)
        except (LookupError, PermissionError):
            continue
        return
