"""The RFB (VNC) wire, as pure functions over bytes: no sockets, no clock, every buffer bounded.

Message layouts are those of RFC 6143 and of the community RFB specification (rfbproto).
"""

from .picture import FirstPicture

__all__ = ["INPUT", "FirstPicture", "RfbError"]


class RfbError(ValueError):
    """The peer sent something that no well-behaved peer sends; the console must be closed."""


# Key, pointer, QEMU's extended key (RFC 6143, section 7.5). noVNC puts each message into a frame of its own, so the
# first byte of a frame tells what the person does; a client that does it otherwise only misjudges its own idle time.
INPUT = frozenset({4, 5, 255})
