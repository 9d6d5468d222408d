"""Named plug-ins: filled while the apps load, frozen afterwards, listed in the order they came."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping of name to plug-in. A second registration of a name is a programming error."""

    def __init__(self, what: str):
        self.what, self._items, self._frozen = what, dict[str, T](), False

    def add(self, name: str, item: T) -> T:
        if self._frozen:
            raise RuntimeError(f"{self.what} {name!r} came after start-up")
        if name in self._items:
            raise RuntimeError(f"{self.what} {name!r} is registered twice")
        self._items[name] = item
        return item

    def get(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise LookupError(f"no {self.what} named {name!r}") from None

    def freeze(self) -> None:
        self._frozen = True

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def names(self) -> list[str]:
        return list(self._items)
