"""Two workers that have a host see the same storage at once: each comes again until what the other does is done."""

import time
from collections.abc import Callable
from typing import TypeVar

import libvirt

T = TypeVar("T")

RACED = (
    libvirt.VIR_ERR_NO_STORAGE_POOL,  # it was forgotten
    libvirt.VIR_ERR_OPERATION_FAILED,  # one of that name is there
    libvirt.VIR_ERR_OPERATION_INVALID,  # it runs, or is being started
)
"""What libvirt says of a pool that somebody else defines, starts or lets go meanwhile; of failures that last, too."""
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds


def despite_others(work: Callable[[], T]) -> T:
    """What `work` returns, which can be done again at any point. Raises libvirt's error when it lasts."""
    for pause in _PAUSES:
        try:
            return work()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in RACED:
                raise
        time.sleep(pause)
    return work()
