"""Asks the desk again and again which of the running consoles must end: the level-triggered half of closing.

Signing out, a disabled account, a lost right, a desktop taken back, a machine started anew: none of them
sends anything to the gateway; all of them are seen here within `revalidate_every` seconds.
"""

import asyncio
import logging

from .closing import INTERNAL
from .floor import Floor

log = logging.getLogger(__name__)


class Watch:
    """One bulk call per round, also when no console runs: it is the gateway's sign of life."""

    def __init__(self, floor: Floor):
        self._floor = floor
        self._answered = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._answered = loop.time()
        while True:
            await asyncio.sleep(self._floor.limits.revalidate_every)
            await self.round()

    async def round(self) -> None:
        """One revalidation. Consoles outlive a short outage of the desk, not a long one."""
        loop = asyncio.get_running_loop()
        alive = [console.alive() for console in self._floor.consoles.all()]
        try:
            async with asyncio.timeout(self._floor.limits.revalidate_every):
                endings = await loop.run_in_executor(self._floor.pool, self._floor.desk.revalidate, alive)
        except Exception as error:
            log.warning("consoles could not be revalidated: %r", error)
            if loop.time() - self._answered > self._floor.limits.blind:
                log.error("nobody vouched for the consoles for %d s: ending them", self._floor.limits.blind)
                self._floor.consoles.end_all(INTERNAL)
            return
        self._answered = loop.time()
        self._floor.consoles.end(endings)
