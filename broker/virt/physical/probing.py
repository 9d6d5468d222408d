"""Looking whether PCs are on: names are looked up and ports knocked at, many at once, without a word said there.

Who calls has a thread for it, and no transaction.
"""

import asyncio
import socket
from collections.abc import Collection, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
ANSWER = 2.0  # seconds in which a PC in the house says yes or no
LOOKUP = 5.0
AT_ONCE = 128
RESOLVERS = 16  # threads that ask the system's resolver

End = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Heard:
    """`open_ports` were opened; `there`: something answered, if only that a port is closed."""

    open_ports: tuple[int, ...] = ()
    there: bool = False


def look_up(names: Collection[str]) -> dict[str, list[str]]:
    """The IP addresses of each of these names or addresses; none for what leads nowhere."""
    return dict(asyncio.run(_at_once([_look_up(name) for name in set(names)], threads=RESOLVERS))) if names else {}


def knock(ends: Mapping[str, Iterable[int]]) -> dict[str, Heard]:
    """Which of these ports are open at each of these IP addresses."""
    every = [(address, port) for address, ports in ends.items() for port in ports]
    if not every:
        return {}
    said = dict(asyncio.run(_at_once([_knock(end) for end in every])))
    return {
        address: Heard(
            tuple(port for port in ports if said[address, port]),
            any(said[address, port] is not None for port in ports),
        )
        for address, ports in ends.items()
    }


async def _at_once(work: list[Coroutine[Any, Any, T]], *, threads: int = 1) -> list[T]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(task: Coroutine[Any, Any, T]) -> T:
        async with turn:
            return await task

    return list(await asyncio.gather(*(one(task) for task in work)))


async def _look_up(name: str) -> tuple[str, list[str]]:
    try:
        async with asyncio.timeout(LOOKUP):
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return name, []
    return name, [str(info[4][0]) for info in found]


async def _knock(end: End) -> tuple[End, bool | None]:
    """Whether it is open; None when nobody answers at all."""
    try:
        async with asyncio.timeout(ANSWER):
            _, writer = await asyncio.open_connection(*end)
    except ConnectionRefusedError:
        return end, False
    except (OSError, TimeoutError):
        return end, None
    writer.transport.abort()
    return end, True
