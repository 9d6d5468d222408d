"""The checksums of uploads, computed while their bytes come.

A checksum that is half done cannot be written down, so the process that received what came so far keeps it. Where
another process takes the next piece, the sum is given up, and the import reads the file once more.
"""

import hashlib
import threading
from collections import OrderedDict
from uuid import UUID

MOST = 64

_kept: OrderedDict[UUID, tuple[int, "hashlib._Hash"]] = OrderedDict()
_guard = threading.Lock()


def taken(pk: UUID, offset: int) -> "hashlib._Hash | None":
    """The sum of the first `offset` bytes of `pk`, for whoever writes on; None where it is not known here."""
    with _guard:
        here, told = _kept.pop(pk, (0, hashlib.sha256()))
    return told if here == offset else None


def keep(pk: UUID, offset: int, told: "hashlib._Hash") -> None:
    """Put it away until the next piece; the oldest goes when there are too many."""
    with _guard:
        _kept[pk] = (offset, told)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
