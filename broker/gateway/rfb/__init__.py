"""The RFB (VNC) wire, as pure functions over bytes: no sockets, no clock, every buffer bounded.

Message layouts are those of RFC 6143 and of the community RFB specification (rfbproto).
"""


class RfbError(ValueError):
    """The peer sent something that no well-behaved peer sends; the console must be closed."""
