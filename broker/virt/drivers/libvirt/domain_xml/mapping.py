"""Typed properties over an lxml element, read and written in place.

A class names its properties by path; everything in the document that no property speaks of stays as it is:

    class Disk(Element):
        TAG = "disk"
        path = Attr("source@file")
        size = Text("size", int)
        readonly = Flag("readonly")

    machine.disks = Children("devices/disk", Disk)

A path is child names joined by "/", with "@name" behind it for an attribute. Setting creates what is missing
on the way; setting None removes the value and then every element that is left without content.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from lxml import etree

NAMESPACE = "urn:berth:machine:1"
MARK = f"{{{NAMESPACE}}}machine"
PREFIXES = {MARK: {"berth": NAMESPACE}}

T = TypeVar("T")
E = TypeVar("E", bound="Element")

PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True, remove_comments=False)


class Element:
    """One XML element with declared properties. Wraps, never copies: two wrappers of a node see one truth."""

    TAG: ClassVar[str]

    def __init__(self, node: etree._Element) -> None:
        self.node = node

    @classmethod
    def new(cls, **values: Any) -> Self:
        """A fresh element with these properties."""
        made = cls(etree.Element(cls.TAG))
        for name, value in values.items():
            setattr(made, name, value)
        return made

    @classmethod
    def parse(cls, text: str) -> Self:
        """Wrap a document. Raises ValueError when `text` is not one of ours."""
        try:
            node = etree.fromstring(text, PARSER)
        except etree.XMLSyntaxError as error:
            raise ValueError(f"not XML: {error}") from error
        if node.tag != cls.TAG:
            raise ValueError(f"<{node.tag}> where <{cls.TAG}> was expected")
        return cls(node)

    def xml(self) -> str:
        """The document as text, indented."""
        etree.indent(self.node)
        return str(etree.tostring(self.node, encoding="unicode"))


class Property(Generic[T]):
    """A value at a path. Subclasses say where in the found element it sits."""

    def __init__(self, path: str, kind: Callable[[str], T]) -> None:
        element, _, self.attribute = path.partition("@")
        self.path, self.steps, self.kind = path, [step for step in element.split("/") if step], kind

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Element, owner: type) -> T | None: ...
    def __get__(self, holder: Element | None, owner: type) -> Self | T | None:
        if holder is None:
            return self
        node = holder.node.find("/".join(self.steps)) if self.steps else holder.node
        found = None if node is None else self.read(node)
        return None if found is None else self.kind(found)

    def __set__(self, holder: Element, value: T | None) -> None:
        if value is not None:
            self.write(_grow(holder.node, self.steps), str(value))
            return
        node = holder.node.find("/".join(self.steps)) if self.steps else holder.node
        if node is not None:
            self.write(node, None)
            _prune(node, holder.node)

    def read(self, node: etree._Element) -> str | None:
        """What stands in the element; an attribute, a text and a flag each have their own place."""
        raise NotImplementedError

    def write(self, node: etree._Element, value: str | None) -> None:
        """Put it there; None takes it away."""
        raise NotImplementedError


class Attr(Property[T]):
    """An attribute: Attr("driver@type")."""

    @overload
    def __init__(self: "Attr[str]", path: str) -> None: ...
    @overload
    def __init__(self, path: str, kind: Callable[[str], T]) -> None: ...
    def __init__(self, path: str, kind: Callable[[str], Any] = str) -> None:
        super().__init__(path, kind)

    def read(self, node: etree._Element) -> str | None:
        value: str | None = node.get(self.attribute)
        return value

    def write(self, node: etree._Element, value: str | None) -> None:
        if value is None:
            node.attrib.pop(self.attribute, None)
        else:
            node.set(self.attribute, value)


class Text(Property[T]):
    """The text of an element: Text("vcpu", int)."""

    @overload
    def __init__(self: "Text[str]", path: str) -> None: ...
    @overload
    def __init__(self, path: str, kind: Callable[[str], T]) -> None: ...
    def __init__(self, path: str, kind: Callable[[str], Any] = str) -> None:
        super().__init__(path, kind)

    def read(self, node: etree._Element) -> str | None:
        text: str | None = node.text
        return text

    def write(self, node: etree._Element, value: str | None) -> None:
        node.text = value


class Flag:
    """An element whose presence says yes: Flag("features/acpi")."""

    def __init__(self, path: str) -> None:
        self.path, self.steps = path, path.split("/")

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Element, owner: type) -> bool: ...
    def __get__(self, holder: Element | None, owner: type) -> Self | bool:
        return self if holder is None else holder.node.find(self.path) is not None

    def __set__(self, holder: Element, value: bool) -> None:
        if value:
            _grow(holder.node, self.steps)
        elif (node := holder.node.find(self.path)) is not None:
            _remove(node)


class Items(Generic[E]):
    """The elements of one kind inside a parent, in document order."""

    def __init__(self, holder: Element, steps: list[str], kind: type[E]) -> None:
        self._holder, self._steps, self._kind = holder, steps, kind

    def __iter__(self) -> Iterator[E]:
        return iter([self._kind(node) for node in self._holder.node.findall("/".join(self._steps))])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def first(self) -> E | None:
        """The first one, or None."""
        return next(iter(self), None)

    def add(self, item: E) -> E:
        """Put `item` behind its like, at the end of the parent when it is the first."""
        parent = _grow(self._holder.node, self._steps[:-1])
        if alike := parent.findall(self._steps[-1]):
            alike[-1].addnext(item.node)
        else:
            parent.append(item.node)
        return item

    def remove(self, item: E) -> None:
        """Take `item` out."""
        _remove(item.node)


class Children(Generic[E]):
    """A list of elements: Children("devices/disk", Disk)."""

    def __init__(self, path: str, kind: type[E]) -> None:
        self.path, self.kind = path, kind

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Element, owner: type) -> Items[E]: ...
    def __get__(self, holder: Element | None, owner: type) -> Self | Items[E]:
        return self if holder is None else Items(holder, self.path.split("/"), self.kind)


def _grow(node: etree._Element, steps: list[str]) -> etree._Element:
    """Walk down `steps`, making what is missing."""
    for step in steps:
        found = node.find(step)
        node = etree.SubElement(node, step, nsmap=PREFIXES.get(step)) if found is None else found
    return node


def _prune(node: etree._Element, root: etree._Element) -> None:
    """Remove `node` and its parents up to (not including) `root` as long as they say nothing."""
    while node is not root and not len(node) and not node.attrib and not (node.text or "").strip():
        parent = node.getparent()
        _remove(node)
        node = parent


def _remove(node: etree._Element) -> None:
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)
