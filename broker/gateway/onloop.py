"""What runs on the event loop and may be ended from any thread."""

import asyncio

from .closing import Closing


class OnLoop:
    """Made on the loop that it runs on. `_end` does the ending, there; `end` may be called from anywhere."""

    _loop: asyncio.AbstractEventLoop

    def end(self, closing: Closing) -> None:
        """Close both sides; the first reason counts. Safe from any thread."""
        try:
            on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            on_loop = False
        if on_loop:
            self._end(closing)
        else:
            self._loop.call_soon_threadsafe(self._end, closing)

    def _end(self, closing: Closing) -> None:
        """End it, on the loop; each kind has its own way."""
        raise NotImplementedError
