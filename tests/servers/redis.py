"""A private Redis on a unix socket, without persistence."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 10.0


@contextmanager
def running() -> Iterator[str]:
    """Yield the path of the server's socket."""
    folder = Path(tempfile.mkdtemp(prefix="berth-redis-"))
    socket = folder / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "",
         "--appendonly", "no", "--dir", str(folder), "--logfile", str(folder / "log")],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        limit = time.monotonic() + PATIENCE
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Redis did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        yield str(socket)
    finally:
        server.terminate()
        server.wait(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)
