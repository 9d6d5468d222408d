"""To the sockets that QEMU listens on, when many come at once."""

import asyncio
import socket


async def connected(path: str) -> socket.socket:
    """A connection to the socket at `path`. QEMU lets two wait there and no third: others try again until it took some.

    Not by the loop's own way, which takes a full queue for a connection that is on its way, and then writes into
    nothing. Raises OSError; the caller sets the time limit.
    """
    sock, pause = socket.socket(socket.AF_UNIX), 0.002
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.05)
            else:
                return sock
    except BaseException:
        sock.close()
        raise
