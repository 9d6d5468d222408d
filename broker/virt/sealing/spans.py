"""Parts of sparse files: taken out, put back, made empty; holes stay holes."""

import ctypes
import errno
import os
from collections.abc import Callable

_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02
_PIECE = 16 << 20


def copy(source: int, begin: int, target: int, to: int, size: int, tick: Callable[[], None] = lambda: None) -> None:
    """Copy `size` bytes of the open file `source` from `begin` to offset `to` of `target`, which is empty there."""
    at, end = begin, begin + size
    while at < end:
        try:
            data = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end of the file
            raise
        if data >= end:
            return
        at, hole = data, min(os.lseek(source, data, os.SEEK_HOLE), end)
        while at < hole:
            tick()
            piece = os.pread(source, min(_PIECE, hole - at), at)
            if not piece:
                return
            os.pwrite(target, piece, to + at - begin)
            at += len(piece)


def punch(file: int, start: int, size: int) -> None:
    """Zeros instead of what is there, without writing them (Python has no fallocate with a mode)."""
    if size <= 0:
        return
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if fallocate(file, _KEEP_SIZE_PUNCH_HOLE, start, size):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
