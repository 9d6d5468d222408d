"""What the C library does with freed memory: given back where connections come and go, kept where it is used again.

A TLS handshake leaves the top of the heap written to: OpenSSL's records and certificates were there. The buffers of
the next connection would lie on it and, though nobody ever fills them, take all of their size; on pages that were
given back they take what is used. It is a fifth of what an idle console costs, for some 40 µs of each new connection.

A recording holds what the relay read until it is written, and frees it: without a word the library gives such large
pieces back at once, and each page of the next picture costs the relay a fault, more than relaying it does.
"""

import ctypes
from typing import Final, TypedDict


class Buffers(TypedDict):
    ssl_incoming_bio_size: int
    ssl_outgoing_bio_size: int


TLS_BUFFERS: Final[Buffers] = {"ssl_incoming_bio_size": 16 * 1024, "ssl_outgoing_bio_size": 128 * 1024}
"""With TLS: clients send little and are sent much. A buffer costs what was once written of it; 16 KiB is the least."""
_libc = ctypes.CDLL(None)
_malloc_trim = getattr(_libc, "malloc_trim", None)  # of glibc
_mallopt = getattr(_libc, "mallopt", None)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE = 1024 * 1024


def give_back() -> None:
    if _malloc_trim is not None:
        _malloc_trim(0)


def keep(most: int) -> None:
    """From now on so many freed bytes stay with the process, until `give_back`; pieces of a megabyte excepted."""
    if _mallopt is not None:
        _mallopt(_MMAP_THRESHOLD, _LARGE)
        _mallopt(_TRIM_THRESHOLD, most)
