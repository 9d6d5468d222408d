"""Berth's own certificate for libvirt on other machines, as files where libvirt reads them.

Each machine that Berth runs on makes its own when a host that was enrolled is first connected to, and anew when a third
of its time is left; connections that are open go on.
"""

import fcntl
import os
import socket
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings

from broker.core import clock

from .authority import DAYS, authority, issue, request_for

RENEW_LEFT = timedelta(days=DAYS / 3)


def ensure() -> Path:
    """The folder with what libvirt's client needs, good for a while yet."""
    folder = Path(settings.DATA_DIR) / "pki"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ca = authority().certificate
        if not good(folder / "cacert.pem", folder / "clientcert.pem", folder / "clientkey.pem", ca):
            key, asked = request_for("Berth")
            issued = issue(asked, name=f"berth-{socket.gethostname()[:48]}".lower(), organization="Berth")
            for name, text in (("clientkey", key), ("clientcert", issued.certificate), ("cacert", issued.authority)):
                write(folder / f"{name}.pem", text)
    return folder


def good(authority_at: Path, certificate_at: Path, key_at: Path, ca: str) -> bool:
    """Whether these files are there, of the authority `ca`, and good for a while yet."""
    try:
        if authority_at.read_text() != ca or not key_at.exists():
            return False
        certificate = x509.load_pem_x509_certificate(certificate_at.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - clock.now() > RENEW_LEFT


def write(path: Path, text: str) -> None:
    """Only this user may read it; whoever reads meanwhile finds the old one whole."""
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)
