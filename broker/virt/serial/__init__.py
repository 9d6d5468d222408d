"""Serial lines of machines for several people at once.

Whoever watches the hosts keeps the lines (`hub`) and lets gateways in by a unix socket (`door`), so that a gateway
needs no libvirt; `wire` is what the two say to each other, and what the page reads.
"""

from pathlib import Path

from django.conf import settings


def socket_path() -> Path:
    """Where gateways of this computer find the lines; the directory is readable by this user alone."""
    path: Path = settings.DATA_DIR / "run" / "serial.sock"
    return path
