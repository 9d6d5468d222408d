"""SPICE as the gateway sees it: the beginning of each channel, and of the main one what a looker-on must not do.

Layouts are those of the SPICE protocol as spice-common's spice.proto and spice/protocol.h have them. One session is
several connections, a channel each: the main one comes first and is given a number, by which the others refer to it.
Only mini headers are spoken, as every client since 2011 does.
"""

MAIN, DISPLAY, INPUTS, CURSOR, PLAYBACK, RECORD, TUNNEL, SMARTCARD, USBREDIR, PORT, WEBDAV = range(1, 12)
SHOWN = frozenset({MAIN, DISPLAY, CURSOR, PLAYBACK})
"""Channels that show and do nothing: all that somebody who looks on gets."""
KNOWN = frozenset(range(MAIN, WEBDAV + 1))
UNSEEN = 0
"""Stands for the kind of a channel whose bytes are between the client and the machine's host alone."""


class SpiceError(Exception):
    """Bytes that are not SPICE, or not as it is spoken here."""
