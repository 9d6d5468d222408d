"""Questions that may never be answered because a storage hangs: asked aside, and given up after a while.

libvirtd waits for a share whose server is gone as long as that takes, and so would every thread that asks it. Its
connection stays well meanwhile, so nothing else notices. While one is open no other is asked of the same storage.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from broker.core.text import gettext_noop
from broker.virt.driver import StorageSilent

T = TypeVar("T")
SECONDS = 15.0


class _Question:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.answered = threading.Event()
        self.answer: Any = None
        self.error: BaseException | None = None
        self._work = work
        threading.Thread(target=self._ask, name="ask-storage", daemon=True).start()

    def _ask(self) -> None:
        try:
            self.answer = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self.answered.set()


class Patience:
    """The open questions to one host, by storage."""

    def __init__(self) -> None:
        self._open: dict[Hashable, _Question] = {}

    def ask(self, storage: Hashable, name: str, work: Callable[[], T]) -> T:
        """What `work` returns or raises; StorageSilent after SECONDS, and at once as long as one before is open."""
        before = self._open.get(storage)
        if before is not None and not before.answered.is_set():
            raise _silent(name)
        question = _Question(work)
        if not question.answered.wait(SECONDS):
            self._open[storage] = question
            raise _silent(name)
        if question.error is not None:
            raise question.error
        answer: T = question.answer
        return answer


def _silent(name: str) -> StorageSilent:
    return StorageSilent(
        gettext_noop("The storage “%(name)s” does not answer on this host."),
        fix=gettext_noop("Look at its server and the way to it; the host itself is well."),
        name=name,
    )
