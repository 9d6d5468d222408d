"""Read XML of strangers: no document types, no entities, nothing fetched; and texts that are one piece.

Whatever a document says is looked at in elements that were checked to be signed (signature.py); this only parses.
"""

import re
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from broker.directories.elsewhere import Untrue

ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
ENCRYPTION = "http://www.w3.org/2001/04/xmlenc#"
NAMES = {"saml": ASSERTION, "samlp": PROTOCOL, "md": METADATA, "ds": SIGNATURE, "xenc": ENCRYPTION}
Element = Any
"""An element of lxml, which has no types."""
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def tag(name: str) -> str:
    """ "saml:Assertion" as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMES[prefix]}}}{local}"


def read(content: bytes) -> Element:
    """The root of a document. Raises Untrue for what is no XML, or more than XML has to be."""
    # lxml counts nesting and lengths itself, as long as huge_tree is not set.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_pis=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Untrue("it is no XML that can be read") from None
    kept = root.getroottree().docinfo
    if kept.internalDTD is not None or kept.externalDTD is not None or kept.doctype:
        raise Untrue("it brings a document type along")
    if next(root.iter(etree.Entity), None) is not None:
        raise Untrue("it has entities")
    return root


def alone(element: Element) -> Element:
    """The element as the root of a document of its own."""
    return read(etree.tostring(element, with_tail=False))


def children(element: Element, name: str) -> list[Element]:
    """Direct children of the name, like "saml:Subject"."""
    return list(element.iterchildren(tag(name)))


def only(element: Element, name: str) -> Element:
    """The one direct child of the name. Raises Untrue when there is none, or another."""
    found = children(element, name)
    if len(found) != 1:
        raise Untrue(f"it has {len(found)} {name} where one is due")
    return found[0]


def text_of(element: Element) -> str:
    """The element's text. Raises Untrue when it is in pieces: readers have disagreed about what is behind a comment."""
    if len(element):
        raise Untrue(f"its {etree.QName(element).localname} is no plain text")
    return (element.text or "").strip()


def moment(told: str | None) -> float | None:
    """A time as seconds since 1970; None when there is none. Raises Untrue for what is none with a zone."""
    if told is None:
        return None
    parts = _MOMENT.fullmatch(told)
    if not parts:
        raise Untrue("a time in it cannot be read")
    zone = "+00:00" if parts[3] == "Z" else parts[3]
    try:
        return datetime.fromisoformat(parts[1] + zone).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise Untrue("a time in it cannot be read") from None
