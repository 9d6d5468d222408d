"""What a provider says of itself, from text or from its address, remembered for some minutes; and what Berth says.

An assertion signed with a key that is not known has metadata at an address read anew, so that a provider may change its
keys at any time; not oftener than every ten seconds, or whoever sends bad ones would have Berth ask and ask. All the
signing keys of the metadata count at once: an old and a new one during a change.
"""

import base64
import binascii
import threading
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from broker.core import clock
from broker.directories.elsewhere import Untrue
from broker.directories.https import SECONDS, Line, Silent, is_safe

from .config import SamlConfig
from .encryption import GCM, OAEP_SHA1
from .own_key import OwnKey
from .xml import METADATA, NAMES, PROTOCOL, Element, children, moment, read, tag, text_of

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
REMEMBERED = 300.0
ANEW_AFTER = 10.0
MOST_KEYS = 10
SMALLEST_RSA = 2048


@dataclass(frozen=True)
class Provider:
    """The part of the metadata that is used. `certificates`: of the keys it signs with, in their order there."""

    entity_id: str
    sign_in: str
    certificates: tuple[x509.Certificate, ...]


_known: dict[SamlConfig, tuple[float, Provider]] = {}
_lock = threading.Lock()


def forget() -> None:
    """As after a start."""
    with _lock:
        _known.clear()


def provider_of(config: SamlConfig, *, anew: bool = False, seconds: float = SECONDS) -> Provider:
    """The provider. `anew`: a key is missing; read again unless that was just done. Raises Silent."""
    kept = _known.get(config)
    if kept and clock.steady() - kept[0] < (ANEW_AFTER if anew else REMEMBERED):
        return kept[1]
    provider = read_provider(config, config.metadata.encode() if config.metadata else _fetched(config, seconds))
    with _lock:
        _known[config] = (clock.steady(), provider)
    return provider


def read_provider(config: SamlConfig, content: bytes) -> Provider:
    """The provider in the document. Raises Silent for one that is not there, is over, or cannot be used."""
    try:
        return _found(config, read(content))
    except Untrue as error:
        raise Silent(f"in its metadata: {error}") from None


def _fetched(config: SamlConfig, seconds: float) -> bytes:
    line = Line(private=config.private, loopback=config.metadata_url.startswith("http:"), ca=config.ca, seconds=seconds)
    status, content = line.fetch(config.metadata_url, headers={"Accept": "application/samlmetadata+xml, */*"})
    if status != 200:
        raise Silent(f"its metadata is answered with {status}")
    return content


def _found(config: SamlConfig, root: Element) -> Provider:
    entities = [
        one for one in root.iter(tag("md:EntityDescriptor")) if children(one, "md:IDPSSODescriptor")
        and config.issuer in ("", one.get("entityID"))
    ]  # fmt: skip
    if len(entities) != 1:
        raise Untrue(f"it has {len(entities)} providers {config.issuer!r} that people could sign in at, not one")
    entity = entities[0]
    roles = [
        one for one in children(entity, "md:IDPSSODescriptor")
        if PROTOCOL in (one.get("protocolSupportEnumeration") or "").split()
    ]  # fmt: skip
    name = entity.get("entityID") or ""
    if len(roles) != 1 or not name or len(name) > 1000:
        raise Untrue("it is of no provider of SAML 2.0")
    now = clock.now().timestamp()
    for one in (*entity.iterancestors(), entity, roles[0]):
        until = moment(one.get("validUntil"))
        if until is not None and until <= now:
            raise Untrue(f"it was good until {one.get('validUntil')}")
    # Without TLS only on this very computer, for trying out; by a metadata that was pasted, nobody else reads along.
    places = [one.get("Location") for one in children(roles[0], "md:SingleSignOnService")
              if one.get("Binding") == REDIRECT]  # fmt: skip
    place = next((one for one in places if is_safe(one, loopback=config.private)), None)
    if place is None:
        raise Untrue("it has no address for the redirect binding that is encrypted")
    certificates = tuple(_certificates(roles[0]))
    if not certificates:
        raise Untrue("it has no key that can be used")
    return Provider(name, place, certificates)


def _certificates(role: Element) -> list[x509.Certificate]:
    found: dict[bytes, x509.Certificate] = {}
    for descriptor in children(role, "md:KeyDescriptor"):
        if descriptor.get("use", "signing") != "signing":
            continue
        for one in descriptor.iter(tag("ds:X509Certificate")):
            try:
                der = base64.b64decode("".join(text_of(one).split()), validate=True)
                certificate = x509.load_der_x509_certificate(der)
                key = certificate.public_key()
            except (binascii.Error, ValueError, Untrue):
                continue
            if isinstance(key, ec.EllipticCurvePublicKey) or (
                isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA
            ):
                found[der] = certificate
    return list(found.values())[:MOST_KEYS]


def ours(entity_id: str, back: list[str], own: OwnKey) -> bytes:
    """Berth's metadata: its id, its key, and the addresses `back` that answers are posted to, the first as default."""
    spaces = {"md": METADATA, "ds": NAMES["ds"]}
    root = etree.Element(tag("md:EntityDescriptor"), nsmap=spaces, entityID=entity_id)
    role = etree.SubElement(
        root, tag("md:SPSSODescriptor"), AuthnRequestsSigned="true", WantAssertionsSigned="true",
        protocolSupportEnumeration=PROTOCOL,
    )  # fmt: skip
    der = own.certificate.public_bytes(serialization.Encoding.DER)
    for use in ("signing", "encryption"):
        descriptor = etree.SubElement(role, tag("md:KeyDescriptor"), use=use)
        info = etree.SubElement(descriptor, tag("ds:KeyInfo"))
        data = etree.SubElement(info, tag("ds:X509Data"))
        etree.SubElement(data, tag("ds:X509Certificate")).text = base64.b64encode(der).decode()
        if use == "encryption":
            for way in (*GCM, OAEP_SHA1):
                etree.SubElement(descriptor, tag("md:EncryptionMethod"), Algorithm=way)
    etree.SubElement(role, tag("md:NameIDFormat")).text = PERSISTENT
    for number, place in enumerate(back):
        etree.SubElement(
            role, tag("md:AssertionConsumerService"), Binding=POST, Location=place, index=str(number),
            isDefault="false" if number else "true",
        )  # fmt: skip
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
