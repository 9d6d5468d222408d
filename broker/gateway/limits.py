"""The gateway's numbers, in one place."""

from dataclasses import dataclass

from broker.connections.rules import CHANNELS_WITHIN


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    handshake: float = 10.0
    """From the websocket upgrade to the first picture, and for the upgrade request itself."""
    ping_every: float = 20.0
    ping_answer: float = 9.0
    """A dead browser is gone within ping_every + ping_answer + one second for the close frame."""
    revalidate_every: float = 10.0
    news: float = 0.3
    """How long after a machine closed its screen its reason is asked for."""
    blind: float = 300.0
    """How long consoles go on while the ticket desk does not answer."""
    drain: float = 3.0
    frame: int = 1024 * 1024
    early: int = 64 * 1024
    """What a browser may send before its console is open."""
    control_frames: int = 60
    """Ping frames a browser may send in ten seconds."""
    consoles: int = 2000
    remote_desktops: int = 20
    """RDP sessions for browsers at a time; each is two programs and 120 MB."""
    unsent: int = 512 * 1024
    """How much the kernel may hold for a slow browser beyond what is on its way; more only makes the picture late."""
    channels: int = 24
    """Connections of one SPICE session; a desktop with four screens and four USB ports has seventeen."""
    channels_within: float = CHANNELS_WITHIN.total_seconds()
